package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

var update = flag.Bool("update", false, "write the golden files")

func TestTheSchemaIsTheGoldenOne(t *testing.T) {
	got, err := newStore(t).Schema(t.Context())
	must(t, err)
	golden := filepath.Join("testdata", "schema.golden.sql")
	if *update {
		must(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the schema has changed: migrate, then run with -update (-want +got):\n%s", diff)
	}
}

func TestEveryConnectionHasThePragmas(t *testing.T) {
	s := newStore(t)
	s.DB().SetMaxOpenConns(4)
	var held []interface{ Close() error }
	for range 4 { // four connections at once, so four different ones
		connection, err := s.DB().Conn(t.Context())
		must(t, err)
		held = append(held, connection)
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "20000",
		} {
			var got string
			must(t, connection.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
	}
	for _, connection := range held {
		must(t, connection.Close())
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "acme"))
	backup := filepath.Join(filepath.Dir(s.Path()), "backup.db")
	must(t, s.Backup(t.Context(), backup))
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.Path()), "*"))
	must(t, err)
	if len(files) < 4 { // database, WAL, shared memory, lock, backup
		t.Errorf("files: %v", files)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", file, info.Mode())
		}
	}
}

func TestOpenRefusesWhatItShould(t *testing.T) {
	o := options(t)
	_, err := store.Open(t.Context(), o)
	isFault(t, err, fault.NotFound, o.Path)
	if _, err := os.Stat(o.Path); err == nil {
		t.Error("to open it has made it")
	}
	s, err := store.Create(t.Context(), o)
	must(t, err)
	must(t, s.Close())
	_, err = store.Create(t.Context(), o)
	isFault(t, err, fault.Conflict, o.Path)

	must(t, os.Chmod(o.Path, 0o640))
	_, err = store.Open(t.Context(), o)
	isFault(t, err, fault.Denied, o.Path)
	must(t, os.Chmod(o.Path, 0o600))

	must(t, os.Chmod(filepath.Dir(o.Path), 0o777))
	_, err = store.Open(t.Context(), o)
	isFault(t, err, fault.Denied, filepath.Dir(o.Path))
	must(t, os.Chmod(filepath.Dir(o.Path), 0o700))

	db, err := store.Connect(o.Path)
	must(t, err)
	known, err := store.Latest()
	must(t, err)
	_, err = db.Exec(fmt.Sprintf("PRAGMA user_version = %d", known+1))
	must(t, errors.Join(err, db.Close()))
	_, err = store.Open(t.Context(), o)
	isFault(t, err, fault.Conflict, "newer")

	for name, content := range map[string]string{"text": strings.Repeat("no database\n", 100), "empty": ""} {
		o.Path = filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(o.Path, []byte(content), 0o600))
		_, err = store.Open(t.Context(), o)
		isFault(t, err, fault.Invalid, o.Path)
	}
}

func TestADatabaseWithFieldsThatWeDoNotKnowIsNewer(t *testing.T) {
	o := options(t)
	s, err := store.Create(t.Context(), o)
	must(t, err)
	must(t, s.Close())
	old := sampleNouns()
	old[1].Fields = old[1].Fields[:3]
	o.Registry = registry(t, old...)
	_, err = store.Open(t.Context(), o)
	isFault(t, err, fault.Conflict, "newer", o.Path)
}

// TestAnOldDatabaseIsUpgraded takes the dump of a database of the first version
// and of fewer nouns and fields through all that has come since.
func TestAnOldDatabaseIsUpgraded(t *testing.T) {
	o := options(t)
	loadDump(t, o.Path, filepath.Join("testdata", "v1.sql"))
	s, err := store.Open(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()

	got, err := s.Schema(t.Context())
	must(t, err)
	for _, name := range []string{"addresses", "users_uid", "system_operation"} {
		if !strings.Contains(got, name) {
			t.Errorf("the upgraded schema lacks %s", name)
		}
	}
	user := find(t, s, "user", "acme-web")
	if user.Text("shell") != "/bin/bash" || user.Values["backup"] != false {
		t.Errorf("the row of before: %v", user.Values)
	}
	commit(t, s, set("user", "acme-web", "backup", true, "group", "a"))
	if row := find(t, s, "user", "acme-web"); !row.Bool("backup") {
		t.Errorf("the new fields were not stored: %v", row.Values)
	}
	add(t, s, object("user", "name", "next", "account", "acme"))

	known, err := store.Latest()
	must(t, err)
	o.Path = fmt.Sprintf("%s.before-%d", s.Path(), known)
	db, err := store.Connect(o.Path)
	must(t, err)
	var version, users int
	must(t, db.QueryRow("SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM users)").Scan(&version, &users))
	if version != 1 || users != 1 {
		t.Errorf("the backup of before has version %d and %d users", version, users)
	}
	must(t, db.Close())
	findings, err := s.Check(t.Context())
	must(t, err)
	if len(findings) != 0 {
		t.Errorf("findings: %v", findings)
	}
}

func loadDump(t *testing.T, path, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(path, nil, 0o600))
	db, err := store.Connect(path)
	must(t, err)
	_, err = db.ExecContext(t.Context(), string(text))
	must(t, errors.Join(err, db.Close()))
}

func TestAFailedUpgradeLeavesTheDatabaseAsItWas(t *testing.T) {
	o := options(t)
	loadDump(t, o.Path, filepath.Join("testdata", "v1.sql"))
	db, err := store.Connect(o.Path)
	must(t, err)
	// Two users with one number: the unique index that is to come can't be made.
	_, err = db.Exec(`INSERT INTO users (id, name, account, uid, shell, created) VALUES (2, 'twin', 1, 70000, '/bin/sh', '2026-01-01T00:00:00Z')`)
	must(t, errors.Join(err, db.Close()))
	if _, err := store.Open(t.Context(), o); err == nil {
		t.Fatal("it was opened")
	}
	db, err = store.Connect(o.Path)
	must(t, err)
	var version int
	must(t, db.QueryRow("PRAGMA user_version").Scan(&version))
	var tables int
	must(t, db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name IN ('addresses', 'system_operation')").Scan(&tables))
	if version != 1 || tables != 0 {
		t.Errorf("version %d, %d tables of the new schema", version, tables)
	}
	must(t, db.Close())
}

// TestMain lets the test binary be the other processes of the tests below.
func TestMain(m *testing.M) {
	path, mode := os.Getenv("ORCHESTRA_TEST_STORE"), os.Getenv("ORCHESTRA_TEST_MODE")
	if path == "" {
		flag.Parse()
		if raced {
			_ = flag.Set("rapid.checks", "5") // the full number runs without the detector
		}
		os.Exit(m.Run())
	}
	if mode == "drop" {
		dropped, err := store.DropToOwner(path)
		fmt.Println(dropped, os.Geteuid(), err)
	}
	if err := other(path, mode); err != nil {
		fmt.Println(fault.KindOf(err), err)
		os.Exit(fault.KindOf(err).ExitCode())
	}
}

func other(path, mode string) error {
	ctx := context.Background()
	r, err := noun.NewRegistry(sampleNouns()...)
	if err != nil {
		return err
	}
	open := store.Open
	if mode == "create" {
		open = store.Create
	}
	s, err := open(ctx, store.Options{Path: path, Registry: r})
	if err != nil {
		return err
	}
	err = s.Update(ctx, func(tx *store.Tx) error {
		return tx.SetCounters(ctx, map[string]int64{fmt.Sprintf("process %d", os.Getpid()): 1})
	})
	return errors.Join(err, s.Close())
}

// run starts many processes at once and returns how often each exit code came.
func run(t *testing.T, path, mode string) map[int]int {
	t.Helper()
	const processes = 20
	codes := map[int]int{}
	var group sync.WaitGroup
	var lock sync.Mutex
	for range processes {
		group.Go(func() {
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), "ORCHESTRA_TEST_STORE="+path, "ORCHESTRA_TEST_MODE="+mode)
			output, err := command.CombinedOutput()
			lock.Lock()
			defer lock.Unlock()
			codes[command.ProcessState.ExitCode()]++
			if err != nil && command.ProcessState.ExitCode() != fault.Conflict.ExitCode() {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	group.Wait()
	return codes
}

func TestManyFirstRunsAtOnceMakeOneDatabase(t *testing.T) {
	o := options(t)
	codes := run(t, o.Path, "create")
	if codes[0] != 1 || codes[fault.Conflict.ExitCode()] != 19 {
		t.Errorf("exit codes: %v", codes)
	}
	s, err := store.Open(t.Context(), o)
	must(t, err)
	must(t, s.Close())
}

func TestManyUpgradesAtOnceAreOne(t *testing.T) {
	o := options(t)
	loadDump(t, o.Path, filepath.Join("testdata", "v1.sql"))
	if codes := run(t, o.Path, "open"); codes[0] != 20 {
		t.Errorf("exit codes: %v", codes)
	}
	backups, err := filepath.Glob(o.Path + ".before-*")
	must(t, err)
	if len(backups) != 1 {
		t.Errorf("backups: %v", backups)
	}
	s, err := store.Open(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	var counted int
	must(t, s.DB().QueryRow("SELECT count(*) FROM system_counters WHERE name LIKE 'process%'").Scan(&counted))
	if counted != 20 {
		t.Errorf("%d of 20 processes have written", counted)
	}
}

func TestAKilledFirstRunLeavesNothingInTheWay(t *testing.T) {
	o := options(t)
	must(t, os.WriteFile(o.Path+".new", []byte("half"), 0o600))
	must(t, os.WriteFile(o.Path+".new-wal", []byte("half"), 0o600))
	s, err := store.Create(t.Context(), o)
	must(t, err)
	must(t, s.Close())
	left, err := filepath.Glob(o.Path + ".new*")
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestABackupIsWholeWhileOthersWrite(t *testing.T) {
	s := newStore(t)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := s.Update(context.Background(), func(tx *store.Tx) error {
				ctx := context.Background()
				return errors.Join(tx.SetCounters(ctx, map[string]int64{"a": int64(i)}), tx.SetCounters(ctx, map[string]int64{"b": int64(i)}))
			}); err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 5 {
		file := filepath.Join(t.TempDir(), fmt.Sprint("backup", i))
		must(t, s.Backup(t.Context(), file))
		db, err := store.Connect(file)
		must(t, err)
		var different int
		must(t, db.QueryRow("SELECT count(DISTINCT last) FROM system_counters WHERE name IN ('a', 'b')").Scan(&different))
		if different > 1 {
			t.Error("half a transaction is in the backup")
		}
		must(t, db.Close())
		isFault(t, s.Backup(t.Context(), file), fault.Conflict, file)
	}
	close(stop)
	must(t, <-done)
	// A backup put back in its place works: it is not in WAL mode, and becomes so.
	o := options(t)
	must(t, s.Backup(t.Context(), o.Path))
	restored, err := store.Open(t.Context(), o)
	must(t, err)
	var mode string
	must(t, restored.DB().QueryRow("PRAGMA journal_mode").Scan(&mode))
	if mode != "wal" {
		t.Errorf("journal_mode is %s", mode)
	}
	must(t, restored.Close())
	if backups, _ := filepath.Glob(o.Path + ".before-*"); len(backups) != 0 {
		t.Errorf("nothing was upgraded, and yet: %v", backups)
	}
}

func TestCheckNamesDamage(t *testing.T) {
	s := two(t)
	findings, err := s.Check(t.Context())
	must(t, err)
	if len(findings) != 0 {
		t.Fatalf("a sound database: %v", findings)
	}
	for _, statement := range []string{
		"PRAGMA foreign_keys = 0",
		"UPDATE addresses SET mailbox = 77",
		"INSERT INTO domains (id, name, created) VALUES (50, 'orphan.org', '2026-01-01T00:00:00Z')",
	} {
		connection, err := s.DB().Conn(t.Context())
		must(t, err)
		_, err = connection.ExecContext(t.Context(), statement)
		must(t, errors.Join(err, connection.Close()))
		s.DB().SetMaxOpenConns(1)
	}
	findings, err = s.Check(t.Context())
	must(t, err)
	var text []string
	for _, finding := range findings {
		text = append(text, finding.Text.String())
	}
	for _, want := range []string{"mailboxes", "orphan.org", "counter"} {
		if !strings.Contains(strings.Join(text, "\n"), want) {
			t.Errorf("nothing about %s in %v", want, text)
		}
	}
}

func TestAnUpdateThatIsToldToStopIsNotCommitted(t *testing.T) {
	s := newStore(t)
	before := dump(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *store.Tx) error {
		err := tx.SetCounters(ctx, map[string]int64{"a": 1})
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if dump(t, s) != before {
		t.Error("it was committed")
	}
	// The connection is as good as before.
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SetCounters(t.Context(), map[string]int64{"a": 1})
	}))
}

func TestASavepointTakesBackOnlyItsOwn(t *testing.T) {
	s := newStore(t)
	failure := errors.New("no")
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		ctx := t.Context()
		must(t, tx.SetCounters(ctx, map[string]int64{"kept": 1}))
		err := tx.Savepoint(ctx, func(ctx context.Context) error {
			must(t, tx.SetCounters(ctx, map[string]int64{"gone": 1}))
			must(t, tx.Savepoint(ctx, func(ctx context.Context) error {
				return tx.SetCounters(ctx, map[string]int64{"gone too": 1})
			}))
			return failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("error %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = tx.Savepoint(ctx, func(ctx context.Context) error {
				must(t, tx.SetCounters(ctx, map[string]int64{"panicked": 1}))
				panic("no")
			})
		}()
		return nil
	}))
	var names int
	must(t, s.DB().QueryRow("SELECT count(*) FROM system_counters").Scan(&names))
	if names != 1 {
		t.Errorf("%d counters, want the one kept", names)
	}
}

func TestRootBecomesTheOwnerOfTheDatabase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	const uid = 61234
	o := options(t)
	s, err := store.Create(t.Context(), o)
	must(t, err)
	must(t, s.Close())
	// The test's own directory and those above belong to root: they may be passed.
	for directory := filepath.Dir(o.Path); strings.HasPrefix(directory, os.TempDir()+"/"); directory = filepath.Dir(directory) {
		must(t, os.Chmod(directory, 0o711))
	}
	for _, file := range []string{filepath.Dir(o.Path), o.Path, o.Path + ".lock"} {
		must(t, os.Chown(file, uid, uid))
	}
	if dropped, err := store.DropToOwner(filepath.Join(os.TempDir(), "no", "such", "file")); dropped || err != nil {
		t.Errorf("for nothing: %v, %v", dropped, err)
	}
	// A copy of the test binary, where that user may execute it.
	binary, err := os.ReadFile(os.Args[0])
	must(t, err)
	copied := filepath.Join(filepath.Dir(o.Path), "other")
	must(t, os.WriteFile(copied, binary, 0o755)) //nolint:gosec // a program
	command := exec.CommandContext(t.Context(), copied)
	command.Env = append(os.Environ(), "ORCHESTRA_TEST_STORE="+o.Path, "ORCHESTRA_TEST_MODE=drop")
	output, err := command.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), "true 61234 <nil>") {
		t.Fatalf("%v: %s", err, output)
	}
	// Root itself, where it does not drop, leaves nothing of its own behind.
	s, err = store.Open(t.Context(), o)
	must(t, err)
	must(t, s.Backup(t.Context(), o.Path+".backup"))
	add(t, s, object("account", "name", "acme"))
	files, err := filepath.Glob(o.Path + "*")
	must(t, err)
	for _, file := range files {
		info, err := os.Stat(file)
		must(t, err)
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uid {
			t.Errorf("%s belongs to %d", file, owner)
		}
	}
	must(t, s.Close())
}

// Package store keeps the state in one SQLite database: rows derived from the
// nouns' declarations, and the journal of operations.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
)

// ErrCommit is wrapped by errors of a commit itself: nobody knows whether it
// has happened. Reopen and read.
var ErrCommit = errors.New("the commit failed")

// Options say which database is opened, and for whom.
type Options struct {
	Path     string
	Registry *noun.Registry
	// Settings; nil is settings.Default().
	Settings *settings.Settings
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Trace, where set, sees every statement that is executed in a transaction.
	Trace func(query string)
}

// Store is one open database. It is safe for concurrent use.
type Store struct {
	options Options
	db      *sql.DB
	schema  *schema
	// writing is held by the one transaction of this process that writes: to
	// wait here is cheaper and fairer than SQLite's busy loop.
	writing chan struct{}
}

// Open opens a database that Create made, upgrading it where it is older. A
// fault of kind NotFound where there is none, of kind Conflict where it is newer.
func Open(ctx context.Context, options Options) (*Store, error) {
	s, err := prepare(options)
	if err != nil {
		return nil, err
	}
	if err := checkFile(s.options.Path); err != nil {
		return nil, err
	}
	if s.db, err = connect(s.options.Path); err != nil {
		return nil, err
	}
	if err := s.upgrade(ctx); err != nil {
		return nil, errors.Join(explain(err, s.options.Path), s.db.Close())
	}
	return s, nil
}

func prepare(options Options) (*Store, error) {
	if options.Settings == nil {
		options.Settings = settings.Default()
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	path, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, err
	}
	options.Path = path
	schema, err := newSchema(options.Registry)
	if err != nil {
		return nil, err
	}
	return &Store{options: options, schema: schema, writing: make(chan struct{}, 1)}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Path returns the absolute path of the database.
func (s *Store) Path() string { return s.options.Path }

// Registry returns the registered nouns.
func (s *Store) Registry() *noun.Registry { return s.options.Registry }

// Settings returns the effective settings.
func (s *Store) Settings() *settings.Settings { return s.options.Settings }

// View runs read in one transaction that sees one state and writes nothing.
func (s *Store) View(ctx context.Context, read func(*Tx) error) error {
	tx, err := s.begin(ctx, true)
	if err != nil {
		return err
	}
	defer tx.end()
	return read(tx)
}

// Update runs write in one immediate transaction and commits it, durably,
// where write returns nil. An error that wraps ErrCommit means that nobody
// knows whether the commit has happened.
func (s *Store) Update(ctx context.Context, write func(*Tx) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	tx, err := s.begin(ctx, false)
	if err != nil {
		return err
	}
	defer tx.end()
	if err := write(tx); err != nil {
		return err
	}
	// A write that was told to stop must not become durable afterwards.
	if err := ctx.Err(); err != nil {
		return err
	}
	tx.closeStatements()
	if err := tx.tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", ErrCommit, err)
	}
	return nil
}

func (s *Store) begin(ctx context.Context, readOnly bool) (*Tx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Without cancellation: database/sql would roll back by itself, at any
	// moment, and leave the answer of a commit open.
	tx, err := s.db.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: readOnly})
	if err != nil {
		return nil, explain(err, s.options.Path)
	}
	now := s.options.Now().UTC().Truncate(time.Second)
	return &Tx{store: s, tx: tx, now: now, statements: map[string]*sql.Stmt{}}, nil
}

// Create makes a new database and opens it; a fault of kind Conflict where
// there is one. It is there whole or not at all.
func Create(ctx context.Context, options Options) (*Store, error) {
	s, err := prepare(options)
	if err != nil {
		return nil, err
	}
	if err := create(ctx, s); err != nil {
		return nil, err
	}
	return Open(ctx, options)
}

func exists(path string) error {
	return fault.New(fault.Conflict, "there is a database at %s already", path)
}

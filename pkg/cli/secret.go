package cli

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/prompt"
)

// secretInput are the flags of a secret field. Its value is never an argument:
// arguments are seen by everybody on the machine and stay in histories.
type secretInput struct {
	field    noun.Field
	stdin    bool
	generate bool
	hash     input // of batch files only
}

// refused is a flag that exists to be refused before its value goes anywhere.
type refused struct{ field noun.Field }

// String implements pflag.Value.
func (refused) String() string { return "" }

// Type implements pflag.Value.
func (refused) Type() string { return "SECRET" }

// Set implements pflag.Value.
func (r refused) Set(string) error { return secretRefused(r.field) }

func secretRefused(field noun.Field) error {
	return fault.New(fault.Usage, "a secret is never given on the command line, where everybody on this machine can read it").
		About(field.Flag()).
		WithHint("use %s, %s, or the command passwd; and choose another one: this one may be in your shell's history",
			"--"+field.Flag()+"-stdin", "--generate-"+field.Flag())
}

// add defines the flags. batch tells that lines come from a file, where there
// is no standard input to read from but hashes may be given.
func (s *secretInput) add(a *app, flags *pflag.FlagSet, batch bool) {
	name := s.field.Flag()
	flags.Var(refused{s.field}, name, "")
	_ = flags.MarkHidden(name)
	if !batch {
		flags.BoolVar(&s.stdin, name+"-stdin", false, a.say(message.New("Read the %s from standard input", name)))
	} else {
		flags.Var(refusedInBatch{s.field}, name+"-stdin", "")
		flags.Lookup(name + "-stdin").NoOptDefVal = "true"
		_ = flags.MarkHidden(name + "-stdin")
	}
	if s.field.Secret.Generate != nil {
		flags.BoolVar(&s.generate, "generate-"+name, false, a.say(message.New("Make up a %s and print it once, on standard output", name)))
	}
	s.hash = input{field: s.field}
	if batch && checksHashes(s.field) {
		flags.Var(&s.hash, name+"-hash", "")
	} else {
		flags.Var(refused{s.field}, name+"-hash", "")
	}
	_ = flags.MarkHidden(name + "-hash")
}

func checksHashes(field noun.Field) bool { return field.Secret.CheckHash != nil }

type refusedInBatch struct{ field noun.Field }

func (refusedInBatch) String() string { return "" }
func (refusedInBatch) Type() string   { return "" }
func (r refusedInBatch) Set(string) error {
	return fault.New(fault.Usage, "a line of a batch has no standard input of its own").About(r.field.Flag()+"-stdin").
		WithHint("use %s in the line, or run that command by itself", "--generate-"+r.field.Flag())
}

func (s *secretInput) reset() {
	s.stdin, s.generate = false, false
	s.hash.reset()
}

// secretValue is a secret of one mutation on its way to being stored.
type secretValue struct {
	field     noun.Field
	generated bool
	plain     string // clear text; "" where only the hash was given
	stored    string // what goes into the row
}

// take returns the secret that the flags ask for, or nil. The clear text is
// read or made here, the hash is made by seal.
func (s *secretInput) take(ctx context.Context, a *app) (*secretValue, error) {
	if s.stdin && s.generate {
		return nil, fault.New(fault.Usage, "%s and %s exclude each other", "--"+s.field.Flag()+"-stdin", "--generate-"+s.field.Flag())
	}
	switch {
	case s.hash.given:
		hash := s.hash.texts[0]
		if err := s.field.Secret.CheckHash(hash); err != nil {
			return nil, aboutField(err, s.field.Flag()+"-hash")
		}
		return &secretValue{field: s.field, stored: hash}, nil
	case s.stdin:
		plain, err := a.readSecret(ctx, s.field)
		if err != nil {
			return nil, err
		}
		return &secretValue{field: s.field, plain: plain}, nil
	case s.generate:
		plain, err := s.field.Secret.Generate()
		if err != nil {
			return nil, fmt.Errorf("making up a %s: %w", s.field.Flag(), err)
		}
		return &secretValue{field: s.field, plain: plain, generated: true}, nil
	}
	return nil, nil
}

// readSecret reads one secret from standard input: all of a pipe, or one line
// of a terminal, unseen.
func (a *app) readSecret(ctx context.Context, field noun.Field) (string, error) {
	if a.stdinTaken {
		return "", fault.New(fault.Usage, "standard input can give only one secret").About(field.Flag() + "-stdin")
	}
	a.stdinTaken = true
	if a.process.Streams.InTerminal {
		return a.askNewSecret(ctx, field)
	}
	secret, err := prompt.ReadSecret(a.process.Streams.In)
	if err != nil {
		return "", aboutField(err, field.Flag()+"-stdin")
	}
	return secret, nil
}

// askNewSecret asks for a new secret twice.
func (a *app) askNewSecret(ctx context.Context, field noun.Field) (string, error) {
	if err := a.mayAsk(fault.New(fault.Usage, "a %s is needed, and there is nobody to ask", field.Flag()).
		WithHint("use %s or %s", "--"+field.Flag()+"-stdin", "--generate-"+field.Flag())); err != nil {
		return "", err
	}
	asker := a.asker()
	for range 3 {
		first, err := asker.Secret(ctx, a.say(message.New("New %s", field.Flag())))
		if err != nil {
			return "", err
		}
		if first == "" {
			a.tell(message.New("Nothing was typed."))
			continue
		}
		second, err := asker.Secret(ctx, a.say(message.New("The same again")))
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		a.tell(message.New("The two differ."))
	}
	return "", fault.New(fault.Usage, "no %s was given", field.Flag())
}

// seal hashes all secrets of mutations, on all processors: a hash is slow by
// design.
func seal(ctx context.Context, mutations []*mutation) error {
	var work []*secretValue
	for _, m := range mutations {
		for _, secret := range m.secrets {
			if secret.stored == "" {
				work = append(work, secret)
			}
		}
	}
	if len(work) == 0 {
		return nil
	}
	next := make(chan *secretValue)
	errs := make(chan error, len(work))
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(work)) {
		workers.Go(func() {
			for secret := range next {
				if err := secret.seal(); err != nil {
					errs <- err
				}
			}
		})
	}
	for _, secret := range work {
		if ctx.Err() != nil {
			break
		}
		next <- secret
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (s *secretValue) seal() error {
	if s.field.Secret.Hash == nil {
		s.stored = s.plain
		return nil
	}
	stored, err := s.field.Secret.Hash(s.plain)
	if err != nil {
		return fmt.Errorf("hashing a %s: %w", s.field.Flag(), err)
	}
	s.stored = stored
	return nil
}

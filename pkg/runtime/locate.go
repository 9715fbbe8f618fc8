package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

var errArguments = errors.New("too few arguments, or too many")

// locate finds where a declared path really is.
func (o *operation) locate(r *resource) error {
	if r.where == "" {
		return nil
	}
	found, err := o.resolver.resolve(r.where)
	if err != nil {
		return err
	}
	own := o.machine.dir
	if found.Path == own || strings.HasPrefix(found.Path, own+"/") {
		return fail(wire.CodeDeclared, r.Name, "the runtime's own directory is not for backends")
	}
	r.Place = found
	return nil
}

// lookFirst describes what is in the place of a resource. Where nothing is, it
// returns nil, and the directory that is to hold it must be there or be declared.
func (o *operation) lookFirst(r *resource) (*Info, error) {
	info, err := r.disk(o.machine).Stat(r.Place.Path)
	switch {
	case err == nil:
		return &info, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, o.mustHaveParent(r)
	}
	return nil, fail(wire.CodeTaken, r.where, "it can't be looked at").because(err)
}

// eachOf calls f with each resource and its number, until ctx ends or one fails.
func eachOf(ctx context.Context, resources []*resource, f func(i int, r *resource) error) error {
	for i, r := range resources {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(i, r); err != nil {
			return concerning(err, r)
		}
	}
	return nil
}

// mustHaveParent refuses a resource whose directory is neither there nor
// declared by this operation. One that is to be removed needs none.
func (o *operation) mustHaveParent(r *resource) error {
	if r.After == nil {
		return nil
	}
	for name := directoryOf(r); name != r.Place.Near; name = path.Dir(name) {
		above := o.indexed[kindDirectory+"\x00"+name]
		if above == nil || above.After == nil {
			return fail(wire.CodeMissing, r.Name, "its directory %s does not exist, and is not declared", name)
		}
	}
	return nil
}

// resolveOwner turns the declared owner and group into numbers.
func (o *operation) resolveOwner(r *resource) (err error) {
	if r.After == nil || (r.owner == "" && r.group == "") {
		return nil
	}
	if _, err := o.accountsNow(); err != nil {
		return err
	}
	if r.After.UID, err = o.number(r.owner, kindUser, pathPasswd); err != nil {
		return fail(wire.CodeMissing, r.Name, "its owner").because(err)
	}
	if r.After.GID, err = o.number(r.group, kindGroup, pathGroup); err != nil {
		return fail(wire.CodeMissing, r.Name, "its group").because(err)
	}
	return nil
}

// accountsNow returns the files of accounts as they are while declaring.
func (o *operation) accountsNow() (files accountFiles, err error) {
	if o.accounts == nil {
		o.accounts, err = readAccountFiles(o.machine.disk)
	}
	return o.accounts, err
}

// number reads a number, or finds that of a name: declared by this operation,
// or known here.
func (o *operation) number(text, kind, file string) (uint32, error) {
	if number, err := strconv.ParseUint(text, 10, 32); err == nil && number < 1<<32-1 {
		return uint32(number), nil
	}
	if r := o.indexed[kind+"\x00"+text]; r != nil && r.After != nil {
		if kind == kindGroup {
			return r.After.GID, nil
		}
		return r.After.UID, nil
	}
	key := kind + "\x00" + text
	if number, ok := o.numbers[key]; ok {
		return number, nil
	}
	if number, ok := findNumber(o.accounts[file], text); ok && validAccount(text) {
		o.numbers[key] = number
		return number, nil
	}
	return 0, fmt.Errorf("there is no %s %q", kind, printable(text))
}

package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// CurrentUnwrapper is what a [Wrapper] may offer beyond, when it opens with
// more keys than the one it wraps with: [Roots] does, and a service with
// versions of a key can. Rotation asks it what is still to be wrapped anew.
type CurrentUnwrapper interface {
	// UnwrapCurrent is Unwrap with the key that Wrap uses now, and with no
	// other: an error that wraps [ErrUnwrap] where only an older one opens.
	UnwrapCurrent(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

// roots are the current root and those that it follows.
type roots struct{ all []Wrapper }

var (
	_ Wrapper          = (*roots)(nil)
	_ CurrentUnwrapper = (*roots)(nil)
)

// Roots returns a root that wraps with current and opens with current or any of
// the older ones: what every process runs with while one root replaces another.
// Each process gets it with the old root in front first, then with the new one;
// docs/design/crypto.md has the steps.
//
// A root that does not answer does not keep the others from being asked. Only
// when all of them answer that the key does not open is it [ErrUnwrap].
func Roots(current Wrapper, older ...Wrapper) (Wrapper, error) {
	all := append([]Wrapper{current}, older...)
	if slices.Contains(all, nil) {
		return nil, errors.New("keyring: roots: a root is nil")
	}
	for i, root := range all {
		all[i] = checked(root)
	}
	return &roots{all}, nil
}

func (r *roots) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	return r.all[0].Wrap(ctx, key, aad)
}

func (r *roots) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	var silent []error
	for i, root := range r.all {
		key, err := root.Unwrap(ctx, wrapped, aad)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, ErrUnwrap) {
			silent = append(silent, fmt.Errorf("keyring: root %d of %d: %w", i+1, len(r.all), err))
		}
		if ctx.Err() != nil {
			return nil, errors.Join(append(silent, context.Cause(ctx))...)
		}
	}
	if len(silent) > 0 { // one of them might open it
		return nil, errors.Join(silent...)
	}
	return nil, ErrUnwrap
}

func (r *roots) UnwrapCurrent(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return unwrapCurrent(ctx, r.all[0], wrapped, aad)
}

// unwrapCurrent opens wrapped if it is wrapped with the key that root wraps
// with now. A root that has one key opens with no other.
func unwrapCurrent(ctx context.Context, root Wrapper, wrapped, aad []byte) ([]byte, error) {
	if c, ok := root.(CurrentUnwrapper); ok {
		return c.UnwrapCurrent(ctx, wrapped, aad)
	}
	return root.Unwrap(ctx, wrapped, aad)
}

package keyring_test

import (
	"context"
	"errors"
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

var errSilent = errors.New("service does not answer")

// silent is a service that does not answer.
type silent struct{}

func (silent) Wrap(context.Context, []byte, []byte) ([]byte, error)   { return nil, errSilent }
func (silent) Unwrap(context.Context, []byte, []byte) ([]byte, error) { return nil, errSilent }

func TestRoots(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, aad := t.Context(), []byte("aad")
	first, second, third := newRoot(t), newRoot(t), newRoot(t)
	byOf := func(w keyring.Wrapper) []byte { return value(w.Wrap(ctx, []byte("key"), aad))(t) }
	both := value(keyring.Roots(second, first))(t)
	outer := value(keyring.Roots(both, third))(t)
	for name, c := range map[string]struct {
		root    keyring.Wrapper
		wrapped []byte
		want    error // of Unwrap
		current error // of UnwrapCurrent
	}{
		"current":             {both, byOf(second), nil, nil},
		"by the roots":        {both, byOf(both), nil, nil},
		"older":               {both, byOf(first), nil, keyring.ErrUnwrap},
		"none":                {both, byOf(third), keyring.ErrUnwrap, keyring.ErrUnwrap},
		"current, nested":     {outer, byOf(second), nil, nil},
		"older, nested":       {outer, byOf(first), nil, keyring.ErrUnwrap},
		"older, outside":      {outer, byOf(third), nil, keyring.ErrUnwrap},
		"current silent":      {value(keyring.Roots(silent{}, first))(t), byOf(first), nil, errSilent},
		"older silent":        {value(keyring.Roots(first, silent{}))(t), byOf(first), nil, nil},
		"perhaps the silent":  {value(keyring.Roots(first, silent{}))(t), byOf(second), errSilent, keyring.ErrUnwrap},
		"perhaps the current": {value(keyring.Roots(silent{}, first))(t), byOf(second), errSilent, errSilent},
	} {
		got, err := c.root.Unwrap(ctx, c.wrapped, aad)
		if !errors.Is(err, c.want) || (err == nil) != (string(got) == "key") || errors.Is(c.want, errSilent) && errors.Is(err, keyring.ErrUnwrap) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		got, err = c.root.(keyring.CurrentUnwrapper).UnwrapCurrent(ctx, c.wrapped, aad)
		if !errors.Is(err, c.current) || (err == nil) != (string(got) == "key") {
			t.Errorf("%s: current: %q, %v", name, got, err)
		}
	}
	if _, err := keyring.Roots(nil, first); err == nil {
		t.Error("no current root accepted")
	}
	if _, err := keyring.Roots(first, nil); err == nil {
		t.Error("nil among the older ones accepted")
	}
}

// TestRootsInRing reads and creates while two roots serve one keystore.
func TestRootsInRing(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, store := t.Context(), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	before, after := newRoot(t), newRoot(t)
	person := uuid.New()
	old := newRing(t, before, store, nil)
	noError(t, old.CreateTenant(ctx, acme))
	want := value(old.CreateCipher(ctx, acme, person))(t)
	both := newRing(t, value(keyring.Roots(after, before))(t), store, nil)
	sealed := value(want.Seal(nil, []byte("plain"), place))(t)
	value(value(both.Cipher(ctx, acme, person))(t).Open(nil, sealed, place))(t)
	noError(t, both.CreateTenant(ctx, bolt))
	if err := second(newRing(t, before, store, nil).IndexKey(ctx, bolt)); err == nil {
		t.Error("the old root opens what the new one wrapped")
	}
	if err := second(newRing(t, after, store, nil).IndexKey(ctx, acme)); !errors.Is(err, keyring.ErrRoot) {
		t.Errorf("the new root alone: %v", err)
	}
}

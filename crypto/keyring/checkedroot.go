package keyring

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/art32/art32/crypto/field"
)

const (
	serviceCheck     = "art32/root-check/v1"
	serviceCheckSize = 16
)

// checkedRoot is a root that lies in a service. Sealing with a key that the
// service once returned for another would lose what was sealed, so a check
// value stands behind what the service gave, and each key is compared with it.
type checkedRoot struct{ service Wrapper }

var (
	_ Wrapper          = (*checkedRoot)(nil)
	_ CurrentUnwrapper = (*checkedRoot)(nil)
)

// checked returns root as it is when it is one of ours, which commit to the key.
func checked(root Wrapper) Wrapper {
	switch root.(type) {
	case *rootKey, *roots, *checkedRoot:
		return root
	}
	return &checkedRoot{root}
}

// Wrap makes sure that what is stored can be opened again.
func (c *checkedRoot) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	wrapped, err := c.service.Wrap(ctx, key, aad)
	if err != nil {
		return nil, err
	}
	again, err := c.service.Unwrap(ctx, wrapped, aad)
	defer clear(again)
	switch {
	case errors.Is(err, ErrUnwrap) || err == nil && subtle.ConstantTimeCompare(again, key) != 1:
		return nil, errors.New("keyring: the root does not open what it has just wrapped")
	case err != nil:
		return nil, err
	}
	check, err := serviceCheckOf(key, aad)
	return append(wrapped[:len(wrapped):len(wrapped)], check...), err
}

func (c *checkedRoot) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return c.open(wrapped, aad, func(inner []byte) ([]byte, error) { return c.service.Unwrap(ctx, inner, aad) })
}

func (c *checkedRoot) UnwrapCurrent(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return c.open(wrapped, aad, func(inner []byte) ([]byte, error) { return unwrapCurrent(ctx, c.service, inner, aad) })
}

func (c *checkedRoot) open(wrapped, aad []byte, unwrap func([]byte) ([]byte, error)) ([]byte, error) {
	end := len(wrapped) - serviceCheckSize
	if end < 0 {
		return nil, ErrUnwrap
	}
	key, err := unwrap(wrapped[:end:end])
	if err != nil {
		return nil, err
	}
	if len(key) != field.KeySize {
		clear(key)
		return nil, fmt.Errorf("keyring: the root returned %d bytes, which are no key", len(key))
	}
	want, err := serviceCheckOf(key, aad)
	if err != nil || subtle.ConstantTimeCompare(wrapped[end:], want) != 1 {
		clear(key)
		return nil, fmt.Errorf("%w: the root returned another key than was wrapped, or its check value was changed", ErrUnwrap)
	}
	return key, nil
}

// serviceCheckOf tells nothing of key: it is an HMAC under a key expanded from it.
func serviceCheckOf(key, aad []byte) ([]byte, error) {
	k, err := hkdf.Expand(sha256.New, key, serviceCheck, sha256.Size)
	if err != nil {
		return nil, err
	}
	defer clear(k)
	mac := hmac.New(sha256.New, k)
	mac.Write(aad)
	return mac.Sum(nil)[:serviceCheckSize], nil
}

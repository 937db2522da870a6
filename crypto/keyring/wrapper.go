package keyring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// ErrUnwrap says that a wrapped key does not open: another root, another place
// or a changed byte.
var ErrUnwrap = errors.New("keyring: wrapped key does not open")

// Wrapper is the root: a key file, a passphrase, or a key management service.
// It wraps few keys, one or two per tenant, so it may be slow. It must be safe
// for concurrent use.
type Wrapper interface {
	// Wrap encrypts key and binds it to aad.
	Wrap(ctx context.Context, key, aad []byte) ([]byte, error)
	// Unwrap returns the key, or an error that wraps [ErrUnwrap] when wrapped
	// does not open under this root and aad, for whatever reason. Any other
	// error means that the service did not answer; it must hold no key bytes.
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

const rootVersion = 1

// rootKey is the Wrapper of a root that lies in memory.
type rootKey struct{ aead *aead.AEAD }

var _ Wrapper = (*rootKey)(nil)

func newRootKey(key []byte) (*rootKey, error) {
	a, err := aead.New(aead.LabelWrap, rootVersion, key)
	if err != nil {
		return nil, fmt.Errorf("keyring: root key: %w", err)
	}
	return &rootKey{a}, nil
}

func (r *rootKey) Wrap(_ context.Context, key, aad []byte) ([]byte, error) {
	return r.aead.Seal(nil, key, string(aad))
}

func (r *rootKey) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	key, err := r.aead.Open(nil, wrapped, string(aad))
	if err != nil {
		return nil, ErrUnwrap
	}
	return key, nil
}

// place is what a wrapped key is bound to.
func place(tenant uuid.UUID, name string, version uint32) (t, n, v string) {
	return tenant.String(), name, strconv.FormatUint(uint64(version), 10)
}

// rootAAD is place for a Wrapper: each part after its length as 4 bytes.
func rootAAD(tenant uuid.UUID, name string, version uint32) []byte {
	t, n, v := place(tenant, name, version)
	var aad []byte
	for _, part := range []string{t, n, v} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(part)))
		aad = append(aad, part...)
	}
	return aad
}

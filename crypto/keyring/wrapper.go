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
// for concurrent use. The kit in keyringtest says whether one of your own does
// what is asked here, and has a service with its Wrapper to read.
//
// A root need not be trusted to return the right key: [New] and [Roots] put a
// check value behind what it returned, and unwrap a key once before its bytes
// are stored.
type Wrapper interface {
	// Wrap encrypts key, which is 32 bytes, and binds it to aad. It keeps and
	// changes neither, and never returns the same bytes twice.
	Wrap(ctx context.Context, key, aad []byte) ([]byte, error)
	// Unwrap returns the key, or an error that wraps [ErrUnwrap] when wrapped
	// does not open under this root and aad, for whatever reason. Any other
	// error means that the service did not answer, also that ctx has ended. No
	// error holds key bytes. The caller clears the key, so it must be a copy.
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

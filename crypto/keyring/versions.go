package keyring

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// versions are records by name, those of one name in the order of versions.
type versions []Record

func byName(records []Record) versions {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return records
}

// of returns all versions of a key.
func (v versions) of(name string) []Record {
	from, _ := slices.BinarySearchFunc(v, name, func(r Record, name string) int { return strings.Compare(r.Name, name) })
	to := from
	for to < len(v) && v[to].Name == name {
		to++
	}
	return v[from:to]
}

// each yields all versions of one key after the other.
func (v versions) each() iter.Seq[[]Record] {
	return func(yield func([]Record) bool) {
		for i := 0; i < len(v); {
			key := v.of(v[i].Name)
			if i += len(key); !yield(key) {
				return
			}
		}
	}
}

// tombstone reports whether the key was erased, which rules all its versions.
func tombstone(records []Record) bool {
	return slices.ContainsFunc(records, func(r Record) bool { return r.State == Erased })
}

// hasBytes reports whether the version opens what it has sealed.
func (r Record) hasBytes() bool { return r.State == Active || r.State == Retired }

// inUse returns the versions that have bytes: first what everybody seals with,
// the lowest active one, then the others. It is empty when no version is
// active, which no rotation leaves behind.
func inUse(records []Record) []Record {
	seals := slices.IndexFunc(records, func(r Record) bool { return r.State == Active })
	if seals < 0 {
		return nil
	}
	if len(records) == 1 {
		return records
	}
	out := []Record{records[seals]}
	for i, r := range records {
		if i != seals && r.hasBytes() {
			out = append(out, r)
		}
	}
	return out
}

// opened collects the versions of a key.
type opened struct {
	*entry

	seals *field.Cipher
	older []*field.Cipher
}

func (o *opened) finish() *entry {
	if o.seals != nil {
		o.cipher = o.seals
		if len(o.older) > 0 {
			o.cipher = o.seals.With(o.older...)
		}
	}
	return o.entry
}

// add unwraps one version with the tenant's KEK; the first is what seals.
func (r *Ring) add(o *opened, kek *entry, rec Record) error {
	under, _ := aead.KeyVersion(rec.Wrapped)
	a := kek.kek(under)
	if a == nil {
		return damaged(o.ref.tenant, rec)
	}
	t, n, v := place(o.ref.tenant, rec.Name, rec.Version)
	key, err := a.Open(make([]byte, 0, field.KeySize), rec.Wrapped, t, n, v)
	if err != nil {
		return damaged(o.ref.tenant, rec)
	}
	return r.take(o, rec.Version, key)
}

// take makes of key, which it takes over, what the name stands for.
func (r *Ring) take(o *opened, version uint32, key []byte) error {
	defer clear(key)
	first := len(o.versions) == 0
	o.versions = append(o.versions, version)
	switch o.ref.name {
	case nameTenant:
		a, err := aead.New(aead.LabelWrap, version, key)
		o.keks = append(o.keks, a)
		return err
	case "", nameData:
		c, err := r.cipher(o.ref, version, key, first)
		if first {
			o.seals = c
		} else {
			o.older = append(o.older, c)
		}
		return err
	case nameIndex:
		if first { // at once for all: growing would leave copies behind
			o.secret = make([]byte, 0, cap(o.versions)*field.KeySize)
		}
		o.secret = append(o.secret, key...)
	default: // nobody opens anything with another version of a secret
		if first {
			o.secret = slices.Clone(key)
		}
	}
	return nil
}

// cipher counts the messages of what seals for a tenant.
func (r *Ring) cipher(k ref, version uint32, key []byte, seals bool) (*field.Cipher, error) {
	if k.name == nameData && seals {
		return field.NewCountedCipher(version, key, r.budget(k.tenant, version))
	}
	return field.NewCipher(version, key)
}

// kek returns the version of a tenant's KEK, nil when the entry lacks it.
func (e *entry) kek(version uint32) *aead.AEAD {
	if i := slices.Index(e.versions, version); i >= 0 {
		return e.keks[i]
	}
	return nil
}

func damaged(tenant uuid.UUID, rec Record) error {
	return fmt.Errorf("%w: tenant %s, key %s, version %d", ErrDamaged, tenant, rec.Name, rec.Version)
}

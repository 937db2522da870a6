package tenancy

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
)

// retired are the versions of a tenant's keys that open and seal no more, as the
// keystore has them now: what a process remembers of a key may be one TTL old.
type retired struct {
	subjects []subjectVersion // in order
	others   []keyring.Version
}

// subjectVersion is small: there may be one for each person.
type subjectVersion struct {
	subject uuid.UUID
	version uint32
}

func (a subjectVersion) compare(b subjectVersion) int {
	return cmp.Or(bytes.Compare(a.subject[:], b.subject[:]), cmp.Compare(a.version, b.version))
}

func (db *DB) retired(ctx context.Context, tenant uuid.UUID) (r retired, err error) {
	for v, err := range db.keys.Retired(ctx, tenant) {
		if err != nil {
			return r, wrap("list", "retired keys", err)
		}
		if v.Kind == keyring.SubjectKeys {
			r.subjects = append(r.subjects, subjectVersion{v.Subject, v.Version})
		} else {
			r.others = append(r.others, v)
		}
	}
	slices.SortFunc(r.subjects, subjectVersion.compare)
	return r, nil
}

// has reports whether a version of a key is retired; the nil subject is the
// tenant itself.
func (r *retired) has(subject uuid.UUID, version uint32) bool {
	if subject == uuid.Nil {
		return r.of(keyring.DataKey, version)
	}
	_, found := slices.BinarySearchFunc(r.subjects, subjectVersion{subject, version}, subjectVersion.compare)
	return found
}

func (r *retired) of(kind keyring.Kind, version uint32) bool {
	return slices.ContainsFunc(r.others, func(v keyring.Version) bool { return v.Kind == kind && v.Version == version })
}

func (r *retired) count() RetiredKeys {
	c := RetiredKeys{Subjects: len(r.subjects)}
	for _, v := range r.others {
		switch v.Kind {
		case keyring.IndexKeys:
			c.Index++
		case keyring.DataKey:
			c.Data++
		case keyring.KEK:
			c.KEK++
		case keyring.SubjectKeys:
		}
	}
	return c
}

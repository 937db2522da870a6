package keyring

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrTooEarly says that a version was retired less than [Options.Grace] ago.
	ErrTooEarly = errors.New("keyring: the version was retired too recently: destroy it later")
	// ErrInUse says that a version still seals, or that keys of the tenant are
	// still wrapped by it.
	ErrInUse = errors.New("keyring: the version is in use: rotate the key before it is destroyed")
)

// Version is one version of a key of a tenant.
type Version struct {
	Kind    Kind      // of which kind the key is
	Subject uuid.UUID // of [SubjectKeys]
	Version uint32    // from 1
	Since   time.Time // when it was retired
}

// Retired yields the tenant's versions that open but seal no longer, which are
// destroyed when nothing needs them any more. It reads in pages.
func (r *Ring) Retired(ctx context.Context, tenant uuid.UUID) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		store, ok := r.store.(Rotator)
		if !ok {
			yield(Version{}, ErrNoRotation)
			return
		}
		for after, more := "", true; more; {
			records, next, err := store.Page(ctx, tenant, "", after, r.page)
			if err != nil {
				yield(Version{}, err)
				return
			}
			for _, rec := range records {
				if v, ok := versionOf(rec); ok && rec.State == Retired && !yield(v, nil) {
					return
				}
			}
			after, more = next, next != ""
		}
	}
}

// versionOf is false for what is never rotated.
func versionOf(rec Record) (Version, bool) {
	v := Version{Version: rec.Version, Since: rec.Changed}
	for kind, name := range recordsOf {
		if rec.Name == name {
			v.Kind = kind
			return v, true
		}
	}
	id, ok := strings.CutPrefix(rec.Name, prefixSubject)
	if !ok {
		return v, false
	}
	var err error
	v.Kind = SubjectKeys
	v.Subject, err = uuid.Parse(id)
	return v, err == nil
}

// ref is false for a kind that there is not, and for a data subject's key
// without one.
func (v Version) ref(tenant uuid.UUID) (ref, bool) {
	if v.Kind == SubjectKeys {
		return ref{tenant: tenant, subject: v.Subject}, v.Subject != uuid.Nil
	}
	name, ok := recordsOf[v.Kind]
	return ref{tenant: tenant, name: name}, ok && v.Subject == uuid.Nil
}

// Destroy destroys retired versions for ever; [Version.Since] is not looked at.
// For index, data and subject keys the caller must have found, while nobody
// could write, that nothing is sealed with them. Each is decided for itself. For
// one that may not be destroyed it returns [ErrTooEarly] before [Options.Grace]
// has passed since it was retired, [ErrInUse] for a version that still seals and
// for a KEK by which a key of the tenant is still wrapped, [ErrNoKey] for one
// that never was. It is idempotent; after [ErrResidue] the caller must repeat it.
func (r *Ring) Destroy(ctx context.Context, tenant uuid.UUID, list ...Version) error {
	store, ok := r.store.(Destroyer)
	if !ok {
		return ErrNoRotation
	}
	records := make([]Record, len(list))
	for i, v := range list {
		k, ok := v.ref(tenant)
		if !ok || v.Version == 0 {
			return fmt.Errorf("keyring: destroy: %q is no version of a key", v.Kind)
		}
		records[i] = Record{Tenant: tenant, Name: k.record(), Version: v.Version}
		r.cache.drop(k)
	}
	if len(records) == 0 {
		return nil
	}
	now := time.Now()
	err := store.Destroy(ctx, tenant, records, now.Add(-r.grace), now)
	for _, v := range list { // what was read meanwhile
		if k, ok := v.ref(tenant); ok {
			r.cache.drop(k)
		}
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

const (
	defaultKeyAge = 2 * 365 * 24 * time.Hour
	// halfDone is after how long a successor that nobody seals with belongs to a
	// rotation that was interrupted.
	halfDone = time.Hour
	// kept is after how long a retired version that only a run keeps from being
	// destroyed was forgotten.
	kept = 7 * 24 * time.Hour
)

// ages looks at how old the keys are, and at rotations that are not at their end.
func (d *doctor) ages(ctx context.Context, store keyring.Store) {
	const measure, name = "TOM-7.2", "key versions"
	lister, ok := store.(keyring.Lister)
	if !ok {
		d.unchecked(measure, name, "the keystore cannot list its keys")
		return
	}
	c := keyCount{now: time.Now(), age: d.keyAge, old: map[string]int{}}
	keyed := map[tenancy.ID]bool{}
	for rec, err := range lister.List(ctx) {
		if err != nil {
			d.add(measure, name, bad(err.Error(), "look into the server's log, or restore the keystore (art32 keys restore)"))
			return
		}
		c.add(rec)
		if keyKind(rec) == "tenant" {
			keyed[tenancy.ID(rec.Tenant)] = true
		}
	}
	d.keyed = keyed
	d.note(measure, name, c.text(), c.faults()...)
}

// owned looks whether the keystore knows the tenants.
func (d *doctor) owned(subjects []subject) {
	if d.keyed == nil { // it could not be read, which was said
		return
	}
	var without []string
	for _, s := range subjects {
		if !s.tenant.IsZero() && !d.keyed[s.tenant] {
			without = append(without, s.name())
		}
	}
	if len(without) > 0 {
		d.add("TOM-7.2", "tenants' keys", bad(
			fmt.Sprintf("the keystore has no key of %d tenants, the first: %s: it is empty, another one, or older than they are", len(without), without[0]),
			"name the right one, or restore it from its copy (art32 keys restore); make none anew"))
		return
	}
	d.add("TOM-7.2", "tenants' keys")
}

// keyKind is that of a key by the first word of its name.
func keyKind(rec keyring.Record) string {
	kind, _, _ := strings.Cut(rec.Name, "/")
	return kind
}

// keyCount counts versions of keys, whose records come in the order of tenants
// and names, those of one key in the order of versions.
type keyCount struct {
	now time.Time
	age time.Duration

	keys, retired, forgotten, half int
	old                            map[string]int // keys that seal for too long, by their kind

	tenant uuid.UUID
	name   string
	seals  bool // a version of the key at hand that seals was seen
}

func (c *keyCount) add(rec keyring.Record) {
	kind := keyKind(rec)
	if !slices.Contains([]string{"tenant", "index", "data", "subject"}, kind) {
		return // named secrets and the root's check value are not rotated here
	}
	if rec.Tenant != c.tenant || rec.Name != c.name {
		c.tenant, c.name, c.seals = rec.Tenant, rec.Name, false
	}
	switch {
	case rec.State == keyring.Retired:
		c.retired++
		if (kind == "tenant" || kind == "index") && c.now.Sub(rec.Changed) > kept {
			c.forgotten++
		}
	case rec.State != keyring.Active:
	case c.seals:
		if c.now.Sub(rec.Created) > halfDone {
			c.half++
		}
	default:
		c.keys++
		c.seals = true
		if c.now.Sub(rec.Created) > c.age {
			c.old[kind]++
		}
	}
}

func (c *keyCount) text() string {
	text := fmt.Sprintf("%d keys", c.keys)
	if c.retired > 0 {
		text += fmt.Sprintf("; %d versions are retired, and art32 keys status tells what still needs them", c.retired)
	}
	return text
}

func (c *keyCount) faults() (found []fault) {
	if c.half > 0 {
		found = append(found, bad(fmt.Sprintf("%d keys have a successor that nobody seals with yet: a rotation was interrupted", c.half),
			"art32 keys rotate with the same --kind and the --before that it has printed"))
	}
	if c.forgotten > 0 {
		found = append(found, bad(fmt.Sprintf("%d versions of index keys and KEKs are retired for more than a week: a rotation is not at its end", c.forgotten),
			"art32 keys reseal, then art32 keys destroy"))
	}
	var old, kinds []string
	for _, k := range []struct{ kind, word string }{{"tenant", "kek"}, {"index", "index"}, {"data", "data"}, {"subject", "subjects"}} {
		if n := c.old[k.kind]; n > 0 {
			old, kinds = append(old, fmt.Sprintf("%d of kind %s", n, k.word)), append(kinds, k.word)
		}
	}
	if len(old) > 0 {
		found = append(found, bad(fmt.Sprintf("keys seal for more than %d days: %s", int(c.age.Hours()/24), strings.Join(old, ", ")),
			fmt.Sprintf("art32 keys rotate --kind %s --older-than %s, then art32 keys reseal", strings.Join(kinds, ","), c.age)))
	}
	return found
}

package audit

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// gonePart is a ciphertext that is missing.
type gonePart struct {
	index  int64
	event  uuid.UUID
	digest [digestSize]byte
}

type partKey struct {
	event uuid.UUID
	part  int64
}

// readParts reads the digests of the parts that belong to entries, and what
// entries of erasure say is gone.
func (v *verifier) readParts(ctx context.Context, from, to int64) (map[partKey][digestSize]byte, map[uuid.UUID][]byte, error) {
	d := v.db.Engine(engine.Library).Dialect()
	return v.parts(ctx, engine.Stmt{
		SQL: partSelect(d) +
			" AND e.tenant_id = $1 AND e.leaf >= $2 AND e.leaf < $3 AND e.leaf >= 0",
		Args: []any{v.tenant, v.head.base + from, v.head.base + to},
	})
}

func partSelect(d migrate.Dialect) string {
	return "SELECT p.event_id, p.part, p.subject, p.ciphertext, e.action FROM " +
		engine.Table(d, "events") + " e CROSS JOIN " + engine.Table(d, "event_parts") + // SQLite keeps the order of a CROSS JOIN
		" p WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id"
}

// readPart is a part as it was read, with the action of its event. Odd is one that
// an erasure would not find by its values.
type readPart struct {
	storedPart

	action string
	odd    bool
}

func scanPart(d migrate.Dialect, r engine.Row) (p readPart, err error) {
	if d == migrate.SQLite {
		return scanFilePart(r)
	}
	var subject *uuid.UUID
	err = r.Scan(&p.event, &p.number, &subject, &p.ciphertext, &p.action)
	if subject != nil {
		p.subject, p.odd = *subject, *subject == uuid.Nil
	}
	return p, err
}

func scanFilePart(r engine.Row) (p readPart, err error) {
	var event, subject, ciphertext, action any
	if err := r.Scan(&event, &p.number, &subject, &ciphertext, &action); err != nil {
		return p, err
	}
	c := cells{values: []any{event, action}}
	p.event, p.action = c.id(), c.text()
	if subject != nil {
		c.values = append(c.values, subject)
		p.subject = c.id()
		c.odd = c.odd || p.subject == uuid.Nil
	}
	if ciphertext != nil {
		c.values = append(c.values, ciphertext)
		p.ciphertext = c.bytes()
	}
	p.odd = c.odd
	return p, nil
}

func (v *verifier) parts(ctx context.Context, s engine.Stmt) (map[partKey][digestSize]byte, map[uuid.UUID][]byte, error) {
	d := v.db.Engine(engine.Library).Dialect()
	digests := make(map[partKey][digestSize]byte)
	manifests := make(map[uuid.UUID][]byte)
	err := read(ctx, v.db, v.tenant, s, func(r engine.Row) error {
		p, err := scanPart(d, r)
		k := partKey{p.event, p.number}
		switch {
		case err != nil || p.ciphertext == nil && !p.odd:
			return err
		case p.odd:
			digests[k] = [digestSize]byte{}
			return nil
		}
		digests[k] = partDigest(p.subject, p.ciphertext)
		if p.action == actionErase && p.number == 0 {
			manifests[p.event] = p.ciphertext
		}
		return nil
	})
	return digests, manifests, err
}

// judgeParts compares the payload of an entry that is as it was sealed.
func (v *verifier) judgeParts(r *row, parts map[partKey][digestSize]byte, manifests map[uuid.UUID][]byte) {
	sound := true
	for i, rest := int64(0), r.leaf.Digests; len(rest) >= digestSize; i, rest = i+1, rest[digestSize:] {
		want := [digestSize]byte(rest[:digestSize])
		got, there := parts[partKey{r.leaf.Event, i}]
		switch {
		case !there:
			v.gone = append(v.gone, gonePart{r.at, r.leaf.Event, want})
			sound = false
		case got != want:
			v.findf(KindPayloadEdited, r.at, r.leaf.Event, "part %d of the payload of entry %d is not what was sealed", i, r.at)
			sound = false
		}
	}
	if r.leaf.Action == actionErase && sound {
		noteErased(v.manifest, manifests[r.leaf.Event])
	}
}

// noteErased notes the digests that an entry of erasure names.
func noteErased(into map[[digestSize]byte]bool, manifest []byte) {
	for ; len(manifest) >= digestSize; manifest = manifest[digestSize:] {
		into[[digestSize]byte(manifest[:digestSize])] = true
	}
}

// judgeGone comes last, when all entries of erasure were read, those not sealed
// yet included.
func (v *verifier) judgeGone() {
	for _, g := range v.gone {
		switch {
		case v.manifest[g.digest]:
			v.report.Erased++
		case v.waived[g.digest]:
			v.report.ErasedPending++
		default:
			v.findf(KindPayloadMissing, g.index, g.event, "a part of the payload of entry %d is gone without an entry of erasure", g.index)
		}
	}
}

// orphans finds parts that belong to no event. An entry whose row was deleted
// leaves its parts behind: they are no finding of their own.
func (v *verifier) orphans(ctx context.Context) error {
	d := v.db.Engine(engine.Library).Dialect()
	left := make(map[uuid.UUID]bool)
	err := v.strayParts(ctx, "e.id IS NULL", int64(v.o.MaxFindings+v.lacked)+1, func(event uuid.UUID, _ int64) {
		left[event] = true
	})
	if err != nil {
		return err
	}
	if len(left) > v.lacked {
		for _, event := range slices.SortedFunc(maps.Keys(left), compareIDs) {
			v.findf(KindInserted, -1, event,
				"a payload belongs to no event: it was inserted, or its event was deleted before it was sealed")
		}
	}
	size := "length(e.digests)"
	if d == migrate.Postgres {
		size = "octet_length(e.digests)"
	}
	return v.strayParts(ctx, "((p.part + 1) * 32 > "+size+" OR p.part < 0)", int64(v.o.MaxFindings)+1, func(event uuid.UUID, part int64) {
		v.findf(KindInserted, -1, event, "part %d of a payload belongs to no event", part)
	})
}

// strayParts reads parts for which a condition holds.
func (v *verifier) strayParts(ctx context.Context, which string, limit int64, found func(event uuid.UUID, part int64)) error {
	d := v.db.Engine(engine.Library).Dialect()
	return read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT CAST(p.event_id AS TEXT), p.part FROM " + engine.Table(d, "event_parts") + " p LEFT JOIN " + engine.Table(d, "events") +
			" e ON e.tenant_id = p.tenant_id AND e.id = p.event_id WHERE p.tenant_id = $1 AND " + which + " ORDER BY 1, 2 LIMIT $2",
		Args: []any{v.tenant, limit},
	}, func(r engine.Row) error {
		var id string
		var n int64
		err := r.Scan(&id, &n)
		found(parseID(id), n)
		return err
	})
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

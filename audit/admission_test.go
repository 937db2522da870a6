package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/tenancytest"
)

// admission is a call of art32.admit_event.
type admission struct {
	event                 uuid.UUID
	action                string
	digests, mac          []byte
	subjects, ciphertexts string
	proof                 string
	happened              int64
}

// sealKey is a key of the seal as an administrator reads it.
func (w *world) sealKey(t *testing.T) (id int, ipad, opad []byte) {
	t.Helper()
	must(t, w.rawDB(t).QueryRowContext(t.Context(), "SELECT id, ipad, opad FROM art32.seal_keys ORDER BY id DESC LIMIT 1").Scan(&id, &ipad, &opad))
	return id, ipad, opad
}

// proof is a second writing of the format of docs/formats/sealed-context.md.
func proof(id int, ipad, opad []byte, label string, tenant uuid.UUID, a admission) string {
	inner := sha256.Sum256(slices.Concat(ipad, []byte(label), tenant[:], a.event[:], a.mac, a.digests))
	outer := sha256.Sum256(slices.Concat(opad, inner[:]))
	return strconv.Itoa(id) + "." + hex.EncodeToString(outer[:])
}

// admit calls the function as callers' text of a tenant.
func (w *world) admit(ctx context.Context, a admission, before ...string) error {
	return w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		for _, text := range before {
			if _, err := tx.SQLX().ExecContext(ctx, text); err != nil {
				return err
			}
		}
		_, err := tx.SQLX().ExecContext(ctx, "SELECT art32.admit_event($1, $2, $3, 1, $4, NULL, '1', $5, $6, $7::uuid[], $8::bytea[], $9)",
			a.event, a.happened, uuid.New(), a.action, a.digests, a.mac, a.subjects, a.ciphertexts, a.proof)
		return err
	})
}

// TestAdmission: with a proof an event comes in, once; without one, or with one of
// something else, it does not.
func TestAdmission(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t, tenancytest.Postgres)
	ctx, a, b := w.in(t.Context(), w.a), w.a.UUID(), w.b.UUID()
	id, ipad, opad := w.sealKey(t)
	digest := sha256.Sum256(append(make([]byte, 16), 'x'))
	fresh := func() admission {
		e := admission{
			event: uuid.New(), action: "a.b", digests: digest[:], mac: make([]byte, 32), happened: time.Now().UnixMicro(),
			subjects: "{" + uuid.Nil.String() + "}", ciphertexts: `{"\\x78"}`,
		}
		e.proof = proof(id, ipad, opad, "art32/admit/v1", a, e)
		return e
	}
	good := fresh()
	must(t, w.admit(ctx, good)) // what the test proves is what the database takes
	for name, change := range map[string]func(*admission){
		"the same again":       func(e *admission) { *e = good },
		"another event":        func(e *admission) { e.event = uuid.New() },
		"another MAC":          func(e *admission) { e.mac = append(make([]byte, 31), 1) },
		"a longer MAC":         func(e *admission) { e.mac, e.digests = append(make([]byte, 32), digest[0]), digest[1:] },
		"no digest":            func(e *admission) { e.digests = []byte{} },
		"another part":         func(e *admission) { e.ciphertexts = `{"\\x79"}` },
		"another subject":      func(e *admission) { e.subjects = "{" + b.String() + "}" },
		"no part":              func(e *admission) { e.subjects, e.ciphertexts = "{}", "{}" },
		"a part more":          func(e *admission) { e.subjects, e.ciphertexts = "{"+uuid.Nil.String()+",NULL}", `{"\\x78",NULL}` },
		"no array":             func(e *admission) { e.subjects, e.ciphertexts = "{{"+uuid.Nil.String()+"}}", `{{"\\x79"}}` },
		"an empty proof":       func(e *admission) { e.proof = "" },
		"the key alone":        func(e *admission) { e.proof = strconv.Itoa(id) },
		"an unknown key":       func(e *admission) { e.proof = "99" + e.proof },
		"a proof cut off":      func(e *admission) { e.proof = e.proof[:len(e.proof)-1] },
		"in upper case":        func(e *admission) { e.proof = strings.ToUpper(e.proof) },
		"of another tenant":    func(e *admission) { e.proof = proof(id, ipad, opad, "art32/admit/v1", b, *e) },
		"under another label":  func(e *admission) { e.proof = proof(id, ipad, opad, "", a, *e) },
		"under a key of zeros": func(e *admission) { e.proof = proof(id, make([]byte, 64), opad, "art32/admit/v1", a, *e) },
	} {
		e := fresh()
		change(&e)
		if err := w.admit(ctx, e); err == nil {
			t.Errorf("%s: admitted", name)
		} else if strings.Contains(err.Error(), hex.EncodeToString(ipad)[:8]) || strings.Contains(err.Error(), good.proof[:20]) {
			t.Errorf("%s: the error tells of the key: %v", name, err)
		}
	}
	if err := w.admit(w.in(t.Context(), w.b), fresh()); !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("in another tenant's context: %v", err)
	}
	if err := w.admit(ctx, fresh(), "SELECT set_config('art32.ctx', '', true)"); !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("without a context: %v", err)
	}
	// The context of one tenant beside the setting of another, and a path that leads elsewhere.
	must(t, w.admit(ctx, fresh(), "SELECT set_config('art32.tenant', '"+b.String()+"', true)", "SET search_path = nowhere, public"))
	var inA, inB int
	must(t, w.rawDB(t).QueryRowContext(t.Context(), "SELECT count(*) FILTER (WHERE tenant_id = $1), count(*) FILTER (WHERE tenant_id = $2) FROM art32.events WHERE action = 'a.b'", a, b).Scan(&inA, &inB))
	if inA != 2 || inB != 0 {
		t.Errorf("%d events in A and %d in B, want 2 and 0", inA, inB)
	}
}

// TestAdmissionAndRotation: a key that has a successor admits as long as it opens.
func TestAdmissionAndRotation(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t, tenancytest.Postgres)
	ctx := w.in(t.Context(), w.a)
	record := func() error {
		return w.db.InSQL(ctx, func(ctx context.Context, _ *tenancy.SQLTx) error { return w.log.Record(ctx, "a.b") })
	}
	must(t, record())
	id, ipad, opad := w.sealKey(t)
	must(t, postgres.RotateSeal(t.Context(), w.Owner, postgres.SealGrace))
	must(t, record())
	must(t, postgres.RotateSeal(t.Context(), w.Owner, 0))
	wantErr(t, record(), tenancy.ErrForbidden)
	must(t, record())
	old := admission{event: uuid.New(), action: "a.b", digests: []byte{}, mac: make([]byte, 32), subjects: "{}", ciphertexts: "{}"}
	old.proof = proof(id, ipad, opad, "art32/admit/v1", w.a.UUID(), old)
	wantErr(t, w.admit(ctx, old), tenancy.ErrForbidden)
	w.seal(t)
	if r := w.wantOK(t, &audit.VerifyOptions{Log: w.log}); r.Size < 3 {
		t.Errorf("%d entries", r.Size)
	}
}

package tenancy_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// sshVerify has ssh-keygen check a record.
func sshVerify(t *testing.T, signer string, text, signature []byte) error {
	t.Helper()
	dir := t.TempDir()
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "record.json.sig")
	must(t, os.WriteFile(allowed, []byte("erasure "+signer+"\n"), 0o600))
	must(t, os.WriteFile(sig, signature, 0o600))
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "erasure", "-n", "art32-erasure", "-s", sig)
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return err
}

// TestErasureRecord: the record says what the schema, the data, the keystore and
// the ledger show, is signed by a key that can be known before, and leaves an event.
func TestErasureRecord(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := newOffice(t, engine, &tenantBook{book: &book{}})
			ctx := tenancy.WithReason(w.In(t, w.A), "instruction 2026-17")
			people := fillOffice(ctx, t, w.DB, 2)
			before := time.Now().UTC().Truncate(time.Microsecond)
			must(t, w.DB.Erase(ctx, people[0]))
			signer, err := w.DB.RecordSigner(ctx)
			must(t, err)
			r, err := w.Reopen(t).DB.ErasureRecord(ctx, people[0])
			must(t, err)
			files := tenancy.RecordFiles{Engine: "sqlite", Overwritten: true, LogEmptied: true}
			if engine == tenancytest.Postgres {
				files = tenancy.RecordFiles{Engine: "postgres", UntilRewritten: true, InLog: true}
			}
			want := tenancy.ErasureRecord{
				Format: "art32-erasure-record", Version: 1, Kind: "data-subject", DataSubject: people[0],
				Controller: tenancy.RecordController{ID: w.A.UUID(), Name: "Tenant A"}, IssuedBy: "service:test", Reason: "instruction 2026-17",
				Tables: []tenancy.RecordTable{{
					Name: "persons", Rows: 1, Unreadable: []string{"name"}, Deleted: []string{"city"}, Indexes: []string{"name_bidx"},
					Kept: []string{"id", "tenant_id", "plan"},
				}},
				Untouched: []string{"contracts", "plans"},
				Log: &tenancy.LogRemains{
					Emptied: []string{"payload"},
					Kept:    []string{"id", "time", "actor", "session", "action", "object", "outcome", "digest", "checkpoint"},
				},
				Ledger: true, Copies: []tenancy.RecordCopy{{Name: "vault", LifeSeconds: 14 * 86400}, {Name: "snapshots", LifeSeconds: 36 * 3600}},
				CacheSeconds: 60, Files: files, Signer: signer,
			}
			loose := cmpopts.IgnoreFields(tenancy.ErasureRecord{}, "ID", "ErasedAt", "IssuedAt", "Horizon", "Build")
			if diff := cmp.Diff(want, r.ErasureRecord, loose); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if r.ErasedAt.Before(before) || r.IssuedAt.Before(r.ErasedAt) || r.IssuedAt.After(time.Now()) {
				t.Errorf("erased at %s, issued at %s", r.ErasedAt, r.IssuedAt)
			}
			if got := r.Horizon.Sub(r.ErasedAt); got != 14*24*time.Hour+time.Minute {
				t.Errorf("the horizon is %s after the erasure", got)
			}
			read, err := tenancy.VerifyErasureRecord(signer, r.Text, r.Signature)
			must(t, err)
			if diff := cmp.Diff(&r.ErasureRecord, read); diff != "" {
				t.Errorf("read (-issued +read):\n%s", diff)
			}
			must(t, sshVerify(t, signer, r.Text, r.Signature))
			if sshVerify(t, signer, append(bytes.Clone(r.Text), ' '), r.Signature) == nil {
				t.Error("ssh-keygen accepts what was changed")
			}
			issued(t, w, w.A, "subject.record", r.ID)
			for _, text := range []string{string(r.Text), r.German(), r.English()} {
				if strings.Contains(text, "Änne") || strings.Contains(text, "Köln") {
					t.Errorf("the record holds data of the person:\n%s", text)
				}
			}
		})
	}
}

// issued wants one event of the record in a log, which names nobody else.
func issued(t *testing.T, w *tenancytest.World, tenant tenancy.ID, action string, id uuid.UUID) {
	t.Helper()
	n := 0
	for e, err := range w.Log.Events(w.In(t, tenant), w.DB, audit.Filter{Platform: tenant.IsZero(), Action: action}) {
		must(t, err)
		if e.Object == id {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d events %s of this record, want 1", n, action)
	}
}

func TestTenantErasureRecord(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			ledger := &tenantBook{book: &book{}}
			w := newOffice(t, engine, ledger)
			ctx := w.In(t, w.A)
			people := fillOffice(ctx, t, w.DB, 3)
			if _, err := w.DB.TenantErasureRecord(ctx); !errors.Is(err, tenancy.ErrNotErased) {
				t.Errorf("before: %v, want ErrNotErased", err)
			}
			must(t, w.DB.EraseTenant(ctx))
			r, err := w.DB.TenantErasureRecord(ctx)
			must(t, err)
			want := []tenancy.RecordTable{
				{Name: "persons", Rows: 3, Unreadable: []string{"name"}, Deleted: []string{"city"}, Indexes: []string{"name_bidx"}, Kept: []string{"id", "tenant_id", "plan"}},
				{Name: "contracts", Rows: 1, Unreadable: []string{"text"}, Deleted: []string{"signer"}, Indexes: []string{"text_bidx"}, Kept: []string{"id", "tenant_id", "number"}},
				{Name: "plans", Rows: 1, Unreadable: []string{}, Deleted: []string{}, Indexes: []string{}, Kept: []string{"id", "tenant_id", "name"}},
			}
			if diff := cmp.Diff(want, r.Tables); diff != "" || r.Kind != tenancy.RecordOfTenant || r.DataSubject != uuid.Nil || len(r.Untouched) != 0 || !r.Ledger {
				t.Errorf("record %+v; tables (-want +got):\n%s", r.ErasureRecord, diff)
			}
			issued(t, w, tenancy.ID{}, "tenant.record", r.ID)
			if _, err := w.DB.ErasureRecord(ctx, people[0]); !errors.Is(err, tenancy.ErrErased) {
				t.Errorf("of a person of the erased tenant: %v, want ErrErased", err)
			}
			ledger.tenants = nil
			if _, err := w.DB.TenantErasureRecord(ctx); !errors.Is(err, tenancy.ErrNotErased) {
				t.Errorf("without the ledger's entry: %v, want ErrNotErased", err)
			}
		})
	}
}

// TestErasureRecordRefused: a record that would not be true is not issued.
func TestErasureRecordRefused(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			ledger := &tenantBook{book: &book{}}
			w := newOffice(t, engine, ledger)
			ctx := w.In(t, w.A)
			people := fillOffice(ctx, t, w.DB, 2)
			id := people[0]
			refused := func(what string, want error) {
				t.Helper()
				if r, err := w.DB.ErasureRecord(ctx, id); !errors.Is(err, want) || r != nil {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			refused("nothing was erased", tenancy.ErrNotErased)
			must(t, w.Keys.Shred(ctx, w.A.UUID(), id))
			refused("the ledger was not told", tenancy.ErrNotErased)
			must(t, ledger.Erased(ctx, w.A, id))
			refused("the rows are not cleared", tenancy.ErrNotErased)
			must(t, w.DB.Erase(ctx, id))
			if _, err := w.DB.ErasureRecord(ctx, id); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct{ what, set, back string }{
				{"a column was filled again", "UPDATE persons SET city = 'Bonn' WHERE tenant_id = $1", "UPDATE persons SET city = '' WHERE tenant_id = $1"},
				{"a blind index was", "UPDATE persons SET name_bidx = name WHERE tenant_id = $1", "UPDATE persons SET name_bidx = NULL WHERE tenant_id = $1"},
			} {
				rawExec(t, w, w.A, c.set)
				refused(c.what, tenancy.ErrNotErased)
				rawExec(t, w, w.A, c.back)
			}
			for name, c := range map[string]struct {
				ctx  context.Context
				id   uuid.UUID
				want error
			}{
				"nobody":   {ctx, uuid.Nil, tenancy.ErrNotFound},
				"stranger": {ctx, uuid.New(), tenancy.ErrNotErased},
				"alive":    {ctx, people[1], tenancy.ErrNotErased},
				"actor":    {tenancy.WithTenant(t.Context(), w.A), id, tenancy.ErrNoActor},
				"tenant":   {w.In(t, tenancy.ID{}), id, tenancy.ErrNoTenant},
				"other":    {w.In(t, w.B), id, tenancy.ErrNotErased},
				"unknown":  {w.In(t, tenancy.NewID()), id, tenancy.ErrUnknownTenant},
			} {
				if _, err := w.DB.ErasureRecord(c.ctx, c.id); !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", name, err, c.want)
				}
			}
		})
	}
}

// TestErasureRecordWithoutCopies: who has not said how long copies of the keystore
// live cannot say until when a key could come back.
func TestErasureRecordWithoutCopies(t *testing.T) {
	t.Parallel()
	o := officeOptions(tenancytest.SQLite, nil)
	o.Keyring = nil
	w := tenancytest.New(t, office, o)
	ctx := w.In(t, w.A)
	id := fillOffice(ctx, t, w.DB, 1)[0]
	must(t, w.DB.Erase(ctx, id))
	if _, err := w.DB.ErasureRecord(ctx, id); !errors.Is(err, keyring.ErrCopies) {
		t.Errorf("%v, want ErrCopies", err)
	}
}

// fullLog is a log that has no room for the events of records.
type fullLog struct{ *audit.Log }

var errFull = errors.New("the log is full")

func (l fullLog) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if strings.HasSuffix(c.Action, ".record") {
		return errFull
	}
	return l.Log.Change(ctx, tx, c)
}

// TestErasureRecordWithoutEvent: no event, no record.
func TestErasureRecordWithoutEvent(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newOffice(t, engine, nil)
			a, b := w.In(t, w.A), w.In(t, w.B)
			id := fillOffice(a, t, w.DB, 1)[0]
			must(t, w.DB.Erase(a, id))
			must(t, w.DB.EraseTenant(b))
			db, err := tenancy.New(w.DB.Engine(library), office, w.Keys, fullLog{w.Log}, nil)
			must(t, err)
			if r, err := db.ErasureRecord(a, id); !errors.Is(err, errFull) || r != nil {
				t.Errorf("of a person: %v", err)
			}
			if r, err := db.TenantErasureRecord(b); !errors.Is(err, errFull) || r != nil {
				t.Errorf("of a tenant: %v", err)
			}
		})
	}
}

// TestRecordWords holds the words to what is true.
func TestRecordWords(t *testing.T) {
	t.Parallel()
	for _, r := range goldenRecords() {
		for _, text := range []string{r.German(), r.English()} {
			for _, word := range []string{"anonym", "proof", "proven", "guarantee", "compliant", "Nachweis", "bewiesen", "garantier", "konform"} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
					t.Errorf("%q stands in:\n%s", word, text)
				}
			}
		}
	}
}

// TestRecordTextIsInert: what others wrote into the data makes no marks in the text.
func TestRecordTextIsInert(t *testing.T) {
	t.Parallel()
	r := goldenRecords()["subject"]
	r.Reason = "x\n# Fake\n\u202e`code` <b> [a](http://b) | *b* \x1b[31m"
	r.Controller.Name = "A\n- Zwei"
	r.Copies = []tenancy.RecordCopy{{Name: "a\n\n# c", LifeSeconds: 1}}
	for _, text := range []string{r.German(), r.English()} {
		for _, bad := range []string{"\n# Fake", "\u202e", "\x1b", " <b", "\n- Zwei", "\n# c", " [a", " `code"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q stands in:\n%s", bad, text)
			}
		}
	}
}

// TestReasonIsKeptWhole: the JSON holds a reason as it was given.
func TestReasonIsKeptWhole(t *testing.T) {
	t.Parallel()
	w := newOffice(t, tenancytest.SQLite, nil)
	ctx := tenancy.WithReason(w.In(t, w.A), "Weisung <7> & „Antwort“ \xff")
	id := fillOffice(ctx, t, w.DB, 1)[0]
	must(t, w.DB.Erase(ctx, id))
	r, err := w.DB.ErasureRecord(ctx, id)
	must(t, err)
	read, err := tenancy.ParseErasureRecord(r.Text)
	must(t, err)
	if read.Reason != "Weisung <7> & „Antwort“ \uFFFD" {
		t.Errorf("reason %q", read.Reason)
	}
}

// TestErasureRecordOfDescribed: a program without the structs issues the same.
func TestErasureRecordOfDescribed(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newOffice(t, engine, nil)
			a, b := w.In(t, w.A), w.In(t, w.B)
			id := fillOffice(a, t, w.DB, 1)[0]
			fillOffice(b, t, w.DB, 2)
			schema, err := tenancy.Declared(t.Context(), w.DB.Engine(library))
			must(t, err)
			db, err := tenancy.New(w.DB.Engine(library), schema, w.Keys, w.Log, nil)
			must(t, err)
			must(t, db.Erase(a, id))
			must(t, db.EraseTenant(b))
			if n := left(t, w, w.B); n != 0 {
				t.Errorf("%d rows and payloads still hold something", n)
			}
			for name, issue := range map[string]func(db *tenancy.DB) (*tenancy.SignedErasureRecord, error){
				"person": func(db *tenancy.DB) (*tenancy.SignedErasureRecord, error) { return db.ErasureRecord(a, id) },
				"tenant": func(db *tenancy.DB) (*tenancy.SignedErasureRecord, error) { return db.TenantErasureRecord(b) },
			} {
				one, err := issue(w.DB)
				must(t, err)
				two, err := issue(db)
				must(t, err)
				if diff := cmp.Diff(one.ErasureRecord, two.ErasureRecord, cmpopts.IgnoreFields(tenancy.ErasureRecord{}, "ID", "IssuedAt")); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
			}
		})
	}
}

package pgsource_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// safe is what stands around a backup.
type safe struct {
	places

	identity *age.X25519Identity
	vault    *backup.Vault
	target   *dirtarget.Target
	job      *backup.Job
}

// places are where a safe lies, and who can open it.
type places struct {
	Folders, Recipients []string
	Target              string
}

func (w *world) safe(t *testing.T) *safe {
	t.Helper()
	p := places{Folders: []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}, Target: filepath.Join(t.TempDir(), "target")}
	var identity *age.X25519Identity
	for range 2 {
		id, err := age.GenerateX25519Identity()
		must(t, err)
		identity, p.Recipients = id, append(p.Recipients, id.Recipient().String())
	}
	for _, dir := range append([]string{p.Target}, p.Folders...) {
		must(t, os.Mkdir(dir, 0o700))
	}
	s := w.opened(t, p)
	s.identity = identity
	recorder, err := audit.NewRecorder(w.log, w.db)
	must(t, err)
	s.job, err = backup.New(w.source(t, nil), s.target, s.vault, w.keys, recorder, nil)
	must(t, err)
	return s
}

// opened opens a safe that was laid out.
func (w *world) opened(t *testing.T, p places) *safe {
	t.Helper()
	s := &safe{places: p}
	var err error
	s.vault, err = backup.OpenVault(t.Context(), w.keys, p.Recipients, p.Folders...)
	must(t, err)
	s.target, err = dirtarget.Open(p.Target)
	must(t, err)
	t.Cleanup(func() { _ = s.target.Close() })
	return s
}

func (s *safe) restore(t *testing.T, w *world, run string) (*backup.Restored, *world) {
	t.Helper()
	r := &world{owner: dbtest.Postgres(t), root: w.root, a: w.a, b: w.b}
	d := into(t, r.owner)
	res, err := backup.Restore(t.Context(), s.target, run, d, &backup.RestoreOptions{
		Signer: s.job.Signer(), Vault: s.Folders, Identities: []age.Identity{s.identity}, Root: w.root,
		Log: func(keys *keyring.Ring) (tenancy.ChangeRecorder, error) { return audit.New(keys, nil) },
		Recorder: func(l tenancy.ChangeRecorder, db *tenancy.DB) (backup.Recorder, error) {
			log, ok := l.(*audit.Log)
			if !ok {
				return nil, errors.New("another log")
			}
			return audit.NewRecorder(log, db)
		},
	})
	must(t, err)
	r.logins = d.Logins()
	r.open(t)
	return res, r
}

// The whole way: who was erased after the backup stays erased, everybody else
// comes back.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	w.furnish(t)
	s := w.safe(t)
	gone := w.customer(t, w.a, "gone@example.org")
	m, err := s.job.Run(t.Context())
	must(t, err)
	if m.Engine != "postgres" || m.Position == "" || len(m.Parts) != 3 {
		t.Errorf("manifest: %+v", m)
	}
	_, err = backup.Verify(t.Context(), s.target, m.Run, &backup.VerifyOptions{Signer: s.job.Signer()})
	must(t, err)
	must(t, s.vault.Ledger().Erased(t.Context(), w.a, gone.ID))
	must(t, w.db.Erase(in(t.Context(), w.a), gone.ID))

	res, r := s.restore(t, w, m.Run)
	if res.Erased != 1 || res.Tenants != 2 || res.Rows < 3000 {
		t.Errorf("restored: %+v", res)
	}
	lost, err := customers.Get(in(t.Context(), r.a), r.db, gone.ID)
	must(t, err)
	if _, err := lost.Email.Reveal(); !errors.Is(err, field.ErrErased) || lost.City != "" {
		t.Errorf("who was erased: %v, city %q", err, lost.City)
	}
	for _, id := range []tenancy.ID{w.a, w.b} {
		if diff := cmp.Diff(emails(t, w, id), emails(t, r, id)); diff != "" {
			t.Errorf("other rows (-want +got):\n%s", diff)
		}
	}
	found, err := postgres.Inspect(t.Context(), r.logins, schema, &postgres.SetupOptions{Migrations: appFiles(), Lines: lines})
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	next, err := pgsource.New(r.logins.Backup, &pgsource.Options{Migrations: appFiles(), Lines: lines})
	must(t, err)
	snap, err := next.Snapshot(t.Context())
	must(t, err)
	must(t, snap.Close())
}

// A tenant whose backups were forgotten does not come back, and the others do.
func TestForgottenTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	w.customer(t, w.b, "berta@example.org")
	s := w.safe(t)
	m, err := s.job.Run(t.Context())
	must(t, err)
	must(t, s.vault.Forget(t.Context(), w.b))
	res, r := s.restore(t, w, m.Run)
	if len(res.Forgotten) != 1 || len(emails(t, r, r.a)) != 1 {
		t.Errorf("restored: %+v", res)
	}
	var rows int
	must(t, admin(t, r.owner).Get(&rows, "SELECT count(*) FROM customers WHERE tenant_id = $1", w.b))
	if rows != 0 {
		t.Errorf("%d rows of a tenant who was forgotten", rows)
	}
	again, err := s.job.Run(t.Context())
	must(t, err)
	if len(again.Parts) != 2 {
		t.Errorf("the next run holds %d parts", len(again.Parts))
	}
}

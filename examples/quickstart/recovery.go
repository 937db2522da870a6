package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// backup makes a backup and verifies it without any key.
func (s *story) backup(ctx context.Context) (err error) {
	s.title("A backup is made; the machine that wrote it cannot read it.")
	if _, err := s.sealer.SealDue(ctx); err != nil {
		return err
	}
	folder := away(s.dir, "backups")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if s.target, err = dirtarget.Open(folder); err != nil {
		return err
	}
	job, err := backup.New(s.source, s.target, s.vault, s.keys, s.recorder, nil)
	if err != nil {
		return err
	}
	m, err := job.Run(ctx)
	if errors.Is(err, backup.ErrRole) { // the owner is no superuser
		s.printf("   – no backup: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	s.run, s.signer = m.Run, job.Signer()
	s.shownf("run %s: %d parts, one per tenant and one that they share, signed", m.Run, len(m.Parts))
	for _, p := range m.Parts {
		s.shownf("%s…: %d KiB, %d recipient(s)", p.Name[:min(len(p.Name), 24)], p.Size>>10, len(p.Recipients))
	}
	r, err := backup.Verify(ctx, s.target, s.run, &backup.VerifyOptions{Signer: s.signer})
	if err != nil {
		return err
	}
	s.shownf("verified without any key: %d parts as they were signed", r.Parts)
	return nil
}

// restore restores the backup, which is older than the erasure, into another
// place, and compares.
func (s *story) restore(ctx context.Context) error {
	if s.run == "" {
		return nil
	}
	s.title("The backup, older than the erasure, is restored elsewhere: she stays erased.")
	into, open, done, err := s.elsewhere(ctx)
	if err != nil {
		return err
	}
	root, err := keyring.KeyFile(filepath.Join(s.dir, "root.key"))
	if err != nil {
		return errors.Join(err, done())
	}
	operator, err := recoveryIdentity(s.dir, recoverers[0])
	if err != nil {
		return errors.Join(err, done())
	}
	r, err := backup.Restore(ctx, s.target, s.run, into, &backup.RestoreOptions{
		Signer: s.signer, Vault: []string{away(s.dir, "vault-2")}, Identities: []age.Identity{operator}, Root: root,
		Log: func(keys *keyring.Ring) (tenancy.ChangeRecorder, error) { return audit.New(keys, nil) },
	})
	if err != nil {
		return errors.Join(err, done())
	}
	s.shownf("with the operator's identity and one of the two vaults: %d tenants, %d tables, %d rows as they were counted", r.Tenants, r.Tables, r.Rows)
	s.shownf("%d erasure repeated from the ledger", r.Erased)
	db, err := open(root)
	if err != nil {
		return errors.Join(err, done())
	}
	return errors.Join(s.compare(ctx, db), db.Close(), done(), s.target.Close())
}

// opener opens the restored database as an application would.
type opener func(root keyring.Wrapper) (*restored, error)

// restored is the database in its new place.
type restored struct {
	*tenancy.DB

	store keystore
}

func (r *restored) Close() error { return errors.Join(r.DB.Close(), r.store.Close()) }

// elsewhere is an empty place of the same engine.
func (s *story) elsewhere(ctx context.Context) (backup.Destination, opener, func() error, error) {
	if s.owner != "" {
		return s.otherDatabase(ctx)
	}
	dir := away(s.dir, "restored-"+s.run)
	open := func(root keyring.Wrapper) (*restored, error) {
		store, err := sqlite.OpenKeystore(ctx, dir)
		if err != nil {
			return nil, err
		}
		keys, log, err := keysAndLog(root, store)
		if err != nil {
			return nil, err
		}
		own, _ := fs.Sub(migrations, "migrations/sqlite") // the path is a constant
		db, err := sqlite.Open(ctx, dir, schema, keys, log, &sqlite.Options{Migrations: own, Lines: lines()})
		return &restored{DB: db, store: store}, err
	}
	return sqlitesource.Into(dir, nil), open, func() error { return nil }, nil
}

// otherDatabase makes a database beside the first, which done removes.
func (s *story) otherDatabase(ctx context.Context) (backup.Destination, opener, func() error, error) {
	owner, name, err := sibling(s.owner)
	if err != nil {
		return nil, nil, nil, err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	if err := asOwner(ctx, s.owner, "CREATE DATABASE "+quoted+" TEMPLATE template0"); err != nil {
		return nil, nil, nil, err
	}
	done := func() error {
		return asOwner(context.WithoutCancel(ctx), s.owner, "DROP DATABASE "+quoted+" WITH (FORCE)",
			dropRole(name, "library"), dropRole(name, "app"), dropRole(name, "backup"), dropRole(name, "owner"))
	}
	own, _ := fs.Sub(migrations, "migrations/postgres") // the path is a constant
	into, err := pgsource.Into(owner, &pgsource.IntoOptions{Migrations: own, Lines: lines(), Schema: schema})
	if err != nil {
		return nil, nil, nil, errors.Join(err, done())
	}
	open := func(root keyring.Wrapper) (*restored, error) {
		store, err := postgres.OpenKeystore(ctx, into.Logins().Library)
		if err != nil {
			return nil, err
		}
		keys, log, err := keysAndLog(root, store)
		if err != nil {
			return nil, err
		}
		db, err := postgres.Open(ctx, into.Logins(), schema, keys, log, &postgres.Options{
			SetupOptions: postgres.SetupOptions{Migrations: own, Lines: lines()},
		})
		return &restored{DB: db, store: store}, err
	}
	return into, open, done, nil
}

func dropRole(database, kind string) string {
	return "DROP ROLE IF EXISTS " + pgx.Identifier{database + "_" + kind}.Sanitize()
}

func keysAndLog(root keyring.Wrapper, store keystore) (*keyring.Ring, *audit.Log, error) {
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, nil, err
	}
	log, err := audit.New(keys, nil)
	return keys, log, err
}

// sibling is the owner's URL of another database on the same server.
func sibling(dsn string) (other, name string, err error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", "", err
	}
	name = strings.TrimPrefix(u.Path, "/") + "_restored"
	u.Path = "/" + name
	return u.String(), name, nil
}

func asOwner(ctx context.Context, dsn string, statements ...string) error {
	db, err := sql.Open("pgx", dsn) //art32:allow rawhandle the owner makes and drops a database
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// compare demands that the restored place holds what the first one holds.
func (s *story) compare(ctx context.Context, other *restored) error {
	for _, t := range []tenancy.Tenant{s.north, s.south} {
		ctx := tenancy.WithTenant(ctx, t.ID)
		want, err := people(ctx, s.db)
		if err != nil {
			return err
		}
		got, err := people(ctx, other.DB)
		if err != nil {
			return err
		}
		if len(got) != len(want) {
			return fmt.Errorf("%s: %d customers restored, %d expected", t.Name, len(got), len(want))
		}
		for id, text := range want {
			if got[id] != text {
				return fmt.Errorf("%s: a customer differs after the restore", t.Name)
			}
		}
		s.shownf("%s: %d customers, each field decrypted and equal", t.Name, len(want))
	}
	c, err := Customers.Get(s.atNorth(ctx), other.DB, s.doerte)
	if err != nil {
		return err
	}
	if _, err := c.Name.Reveal(); !errors.Is(err, field.ErrErased) || c.City != "" {
		return fmt.Errorf("the erased person came back: %w", err)
	}
	s.shownf("the erased person there: %v", field.ErrErased)
	r, err := audit.Verify(ctx, other.DB, s.south.ID, nil)
	if err != nil || !r.OK() {
		return fmt.Errorf("the restored log does not verify: %w", err)
	}
	s.shownf("the restored log verifies: %d entries", r.Size)
	return nil
}

// people is what each customer of the tenant says, by id.
func people(ctx context.Context, db *tenancy.DB) (map[string]string, error) {
	all := map[string]string{}
	for c, err := range Customers.List(ctx, db) {
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		for _, f := range []field.Encrypted[string]{c.Name, c.Email, c.Phone, c.IBAN, c.Note} {
			plain, err := f.Reveal()
			if err != nil && !errors.Is(err, field.ErrErased) {
				return nil, err
			}
			fmt.Fprintf(&text, "%q,", plain)
		}
		all[c.ID.String()] = text.String() + c.City + "," + c.Plan
	}
	return all, nil
}

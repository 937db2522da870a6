package sqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	tenantsDir = "tenants"
	suffix     = ".db"
	newPrefix  = ".new-"
	// newAge is when a file that was never finished belongs to a process that
	// is gone.
	newAge = time.Hour
)

// fileName is where a tenant's rows lie. It is made of the id alone.
func fileName(tenant uuid.UUID) string {
	return tenantsDir + "/" + tenancy.ID(tenant).String() + suffix
}

// plan is what every tenant's file is brought to.
type plan struct {
	lines     []migrate.Line
	untrusted map[string]bool // texts of the user's migrations
	digest    string          // fingerprint of all of it
}

func newPlan(lines []migrate.Line, user fs.FS) (plan, error) {
	p := plan{lines: lines, untrusted: map[string]bool{}}
	if user != nil {
		line := migrate.Line{Name: "app", FS: user}
		if err := p.distrust(line); err != nil {
			return plan{}, err
		}
		p.lines = append(p.lines, line)
	}
	h := sha256.New()
	for _, l := range p.lines {
		files, err := l.Files(migrate.SQLite)
		if err != nil {
			return plan{}, err
		}
		for _, f := range files {
			fmt.Fprintf(h, "%s/%s %s\n", f.Line, f.Name, f.Checksum)
		}
	}
	p.digest = hex.EncodeToString(h.Sum(nil))
	return p, nil
}

// distrust notes the texts of the user's line. One that names a table of the
// library is refused before any file is touched: a trigger or a view would
// carry it into the library's own statements later.
func (p *plan) distrust(line migrate.Line) error {
	files, err := line.Files(migrate.SQLite)
	if err != nil {
		return err
	}
	for _, f := range files {
		if mentions(f.SQL) {
			return fmt.Errorf("sqlite: migration %s names %s…: names that begin so belong to the library", f.Name, prefix)
		}
		p.untrusted[f.SQL] = true
	}
	return nil
}

// create builds the file of a tenant under another name and puts it into its
// place when it is complete, so that a crash leaves all or nothing.
func (d *database) create(ctx context.Context, tenant uuid.UUID) error {
	u := d.use(library, false)
	u.sync = "OFF" // the whole file is synced once, before it gets its name
	draft := newFile(d.dir, tenantsDir+"/"+newPrefix+rand.Text()+suffix, u)
	defer discard(draft.path)
	err := errors.Join(d.build(ctx, draft, tenant), draft.close())
	if err != nil {
		return err
	}
	d.step("built")
	if err := settle(draft.path); err != nil {
		return err
	}
	d.step("synced")
	return d.place(ctx, draft.path, tenant)
}

func (d *database) build(ctx context.Context, draft *file, tenant uuid.UUID) error {
	if err := ensureFile(draft.path); err != nil {
		return err
	}
	d.step("begun")
	if err := draft.migrate(ctx, d.plan.untrusted, "OFF", d.plan.lines...); err != nil {
		return translateMigration(err, draft.name)
	}
	d.step("migrated")
	return draft.write(ctx, func(s session) error { return d.sign(ctx, s, tenant) })
}

// sign says in the file whose it is, and how far it was migrated.
func (d *database) sign(ctx context.Context, s session, tenant uuid.UUID) error {
	_, err := s.run(ctx, engine.Stmt{
		SQL: `INSERT INTO art32_home (one, tenant_id, lines) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET lines = excluded.lines WHERE tenant_id = excluded.tenant_id`,
		Args: []any{tenant, d.plan.digest}, Rows: 1,
	}, nil)
	return err
}

// settle makes a closed file last. SQLite has moved the log into it.
func settle(path string) error {
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return &engine.Error{Kind: engine.Unavailable, Text: "the log of a new file could not be emptied"}
	}
	return syncFile(path)
}

// place gives the finished file its name and records that it exists. The
// platform's write lock keeps other processes from doing so at the same time.
// A file that is there without a record is complete: a crash fell between.
func (d *database) place(ctx context.Context, draft string, tenant uuid.UUID) error {
	final := filepath.Join(d.dir, filepath.FromSlash(fileName(tenant)))
	return d.platform.write(ctx, func(s session) error {
		_, e, err := d.lookUp(ctx, s, tenant)
		if err != nil || e.created {
			return err
		}
		if _, err := os.Lstat(final); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(draft, final); err != nil {
				return pathError("name file", err)
			}
			d.step("renamed")
		}
		if err := syncDir(filepath.Dir(final)); err != nil {
			return err
		}
		err = recordFile(ctx, s, tenant)
		d.step("recorded")
		return err
	})
}

func recordFile(ctx context.Context, s session, tenant uuid.UUID) error {
	_, err := s.run(ctx, engine.Stmt{
		SQL:  `INSERT INTO art32_files (tenant_id, created_at) VALUES ($1, $2)`,
		Args: []any{tenant, time.Now()}, Rows: 1,
	}, nil)
	return err
}

// discard removes a draft. What it cannot remove, sweep will.
func discard(path string) {
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + end)
	}
}

// sweep removes the drafts of processes that are gone.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pathError("read directory", err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), newPrefix) && time.Since(st.ModTime()) > newAge {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

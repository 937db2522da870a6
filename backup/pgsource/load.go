package pgsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/restoring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// maxScript bounds a file that is no file of rows.
const maxScript = 64 << 20

var migrationFile = regexp.MustCompile(`^migrations/[a-z][a-z0-9_]{0,62}/[0-9]{4}_[a-z0-9_]+\.sql$`)

// Keystore implements [backup.Destination]. The files wait on the disk until
// there are tables, without a name where the system can do that.
func (d *Destination) Keystore(_ context.Context, name string, size int64, r io.Reader) error {
	if err := d.keep(name, size, r); err != nil {
		return fmt.Errorf("pgsource: take keystore: %w", err)
	}
	return nil
}

func (d *Destination) keep(name string, size int64, r io.Reader) error {
	if name == "layout.json" {
		return d.readLayout(size, r)
	}
	if !strings.HasPrefix(name, "data/") {
		return nil
	}
	t, err := d.tableOf(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, "keys-")
	if err != nil {
		return err
	}
	d.waiting = append(d.waiting, waiting{t, f, size})
	_ = os.Remove(f.Name()) // where an open file cannot be removed, its folder is, at the end
	if n, err := io.Copy(f, r); err != nil || n != size {
		return errors.Join(err, short(name, n, size))
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

func short(name string, n, size int64) error {
	if n == size {
		return nil
	}
	return fmt.Errorf("%w: %s: %d bytes of %d", backup.ErrDamaged, name, n, size)
}

// readLayout learns which tables the following files belong to.
func (d *Destination) readLayout(size int64, r io.Reader) error {
	text, err := readText("layout.json", size, r)
	if err != nil {
		return err
	}
	l := &layout{}
	if err := json.Unmarshal([]byte(text), l); err != nil || l.Format != layoutFormat {
		return fmt.Errorf("%w: layout.json is not of format %s", backup.ErrDamaged, layoutFormat)
	}
	d.layout, d.folders = l, make(map[string]*table)
	for i := range l.Tables {
		d.folders[l.Tables[i].folder()] = &l.Tables[i]
	}
	return nil
}

func readText(name string, size int64, r io.Reader) (string, error) {
	if size > maxScript {
		return "", fmt.Errorf("%w: %s is too long", backup.ErrDamaged, name)
	}
	text, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return "", err
	}
	return string(text), short(name, int64(len(text)), size)
}

// tableOf is the table whose rows a file holds.
func (d *Destination) tableOf(name string) (*table, error) {
	t, ok := d.folders[name[:max(0, strings.LastIndexByte(name, '/'))]]
	if !ok {
		return nil, fmt.Errorf("%w: %s belongs to no table of the backup", backup.ErrDamaged, name)
	}
	return t, nil
}

// File implements [backup.Destination]. The first file of rows makes the tables.
func (d *Destination) File(ctx context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error {
	var err error
	switch {
	case strings.HasPrefix(name, "data/"):
		err = d.rows(ctx, name, size, r)
	case tenant.IsZero():
		err = d.script(name, size, r)
	case name == partFile:
		d.present = append(d.present, tenant.String())
	}
	if err != nil {
		return fmt.Errorf("pgsource: load: %w", told(err))
	}
	return nil
}

// script keeps what is needed to make the tables.
func (d *Destination) script(name string, size int64, r io.Reader) (err error) {
	switch {
	case name == "layout.json":
		return d.readLayout(size, r)
	case name == "partitions.sql" || name == "sequences.sql":
		d.scripts[name], err = readText(name, size, r)
		return err
	case !migrationFile.MatchString(name):
		return nil // for people
	}
	text, err := readText(name, size, r)
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func (d *Destination) rows(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	t, err := d.tableOf(name)
	if err != nil {
		return err
	}
	return d.copyIn(ctx, t, name, size, r)
}

// copyIn loads a file of rows. What the server says of a row that it cannot read
// stays untold.
func (d *Destination) copyIn(ctx context.Context, t *table, name string, size int64, r io.Reader) error {
	count := &counter{r: r}
	_, err := d.conn.PgConn().CopyFrom(ctx, count, t.copyIn())
	switch c := class(code(err)); {
	case count.err != nil:
		return count.err
	case c == "22" || c == "23":
		return fmt.Errorf("%w: %s: %w", backup.ErrDamaged, name, told(err))
	case err != nil:
		return fmt.Errorf("%s: %w", name, told(err))
	}
	return short(name, count.n, size)
}

// counter counts what is read, and keeps the reader's own error.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// start makes roles and tables and begins the transaction that loads the rows.
func (d *Destination) start(ctx context.Context) (err error) {
	if d.conn != nil {
		return nil
	}
	if d.layout == nil || len(d.layout.Lines) == 0 {
		return fmt.Errorf("%w: layout.json of the shared part is missing", backup.ErrDamaged)
	}
	if err := d.with(ctx, func(conn *pgx.Conn) error { return d.still(ctx, conn) }); err != nil {
		return err
	}
	d.logins, err = postgres.Setup(restoring.With(ctx, d.login), d.dsn, &postgres.SetupOptions{Lines: d.lines()})
	if err != nil {
		return err
	}
	config, err := parse("restore's", d.loader)
	if err != nil {
		return err
	}
	if d.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return err
	}
	if err := d.makePartitions(ctx); err != nil {
		return err
	}
	if err := d.missing(ctx); err != nil {
		return err
	}
	if err := run(ctx, d.conn, "BEGIN", formats, asReplica, emptying(d.layout.Tables)); err != nil {
		return err
	}
	for _, w := range d.waiting {
		if err := d.copyIn(ctx, w.table, "keystore", w.size, w.file); err != nil {
			return err
		}
	}
	return d.drop()
}

// lines are those of the backup.
func (d *Destination) lines() []tenancy.Line {
	out := make([]tenancy.Line, len(d.layout.Lines))
	for i, l := range d.layout.Lines {
		out[i] = tenancy.Line{Name: l.Name, FS: os.DirFS(filepath.Join(d.dir, "migrations", l.Name))}
	}
	return out
}

// makePartitions makes those that came without a migration, as the owner, and
// takes off those that went without one.
func (d *Destination) makePartitions(ctx context.Context) error {
	return run(ctx, d.conn, "BEGIN", formats+qualified, "SET ROLE "+quoted(d.owner), d.scripts["partitions.sql"], "COMMIT", "RESET ROLE")
}

// missing refuses a backup whose tables its migrations did not make.
func (d *Destination) missing(ctx context.Context) error {
	var gone []string
	for i := range d.layout.Tables {
		t := &d.layout.Tables[i]
		have, err := names(ctx, d.conn, `SELECT attname::text FROM pg_catalog.pg_attribute
			WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, t.quoted())
		if err != nil {
			return err
		}
		for _, c := range t.Columns {
			if !slices.Contains(have, c) {
				gone = append(gone, t.label()+"."+c)
			}
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("no migration of the backup makes %s: they were made by hand. Make them in a migration, or load by hand as RESTORE.md says",
			strings.Join(gone, ", "))
	}
	return nil
}

// drop removes what waited on the disk.
func (d *Destination) drop() (err error) {
	for _, w := range d.waiting {
		err = errors.Join(err, w.file.Close())
	}
	d.waiting = nil
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
		d.dir = ""
	}
	return err
}

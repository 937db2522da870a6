package tenancy_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// traceOf is what the files must not hold of somebody who was erased.
type traceOf struct {
	id     uuid.UUID
	key    []byte // wrapped: nonce and encrypted key
	city   []byte
	cipher []byte // of the name, which stays
}

// traced inserts people whose bytes can be recognised, and gives those.
func traced(ctx context.Context, t *testing.T, w *tenancytest.World, n int) []traceOf {
	t.Helper()
	tenant, err := tenancy.TenantFrom(ctx)
	must(t, err)
	out := make([]traceOf, n)
	for i := range out {
		p := person{Name: field.New(fmt.Sprintf("Kanarienname-%05d", i)), City: fmt.Sprintf("Kanarienstadt-%.8s-%05d", tenant, i), Plan: "free"}
		must(t, persons.Insert(ctx, w.DB, &p))
		out[i] = traceOf{id: p.ID, key: wrappedKey(ctx, t, w, "subject/"+p.ID.String()), city: []byte(p.City)}
	}
	db := rawTenant(t, w, tenant)
	for i := range out {
		must(t, db.QueryRowContext(ctx, "SELECT name FROM persons WHERE id = $1", out[i].id.String()).Scan(&out[i].cipher))
	}
	must(t, db.Close())
	return out
}

func wrappedKey(ctx context.Context, t *testing.T, w *tenancytest.World, name string) []byte {
	t.Helper()
	tenant, err := tenancy.TenantFrom(ctx)
	must(t, err)
	records, err := w.Store.Get(ctx, tenant.UUID(), []string{name})
	must(t, err)
	return records[0].Wrapped[5:49]
}

// keyLeft reports whether a part of the key that would be of use is in files.
func (x *traceOf) keyLeft(files []byte) bool {
	return bytes.Contains(files, x.key[:16]) || bytes.Contains(files, x.key[len(x.key)-16:])
}

// plainLeft reports whether what was in clear is in files.
func (x *traceOf) plainLeft(files []byte) bool { return bytes.Contains(files, x.city) }

func filesIn(t *testing.T, dir string) (all []byte) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, text...)
		return err
	}))
	return all
}

// TestNoBytesLeftSQLite reads the files as they lie on disk: of who was erased
// there is no key and no value that was in clear, while the ciphertext stays, as the
// record says.
func TestNoBytesLeftSQLite(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newOffice(t, tenancytest.SQLite, nil)
	ctx, other := w.In(t, w.A), w.In(t, w.B)
	people, others := traced(ctx, t, w, 120), traced(other, t, w, 3)
	before, keys := filesIn(t, w.Dir), filesIn(t, w.KeysDir)
	for i := range people {
		if x := &people[i]; !x.keyLeft(keys) || !x.plainLeft(before) {
			t.Fatal("the test looks for the wrong bytes")
		}
	}
	for i := range people {
		if i%3 == 0 {
			must(t, w.DB.Erase(ctx, people[i].id))
		}
	}
	checkFiles(t, w, people, func(i int) bool { return i%3 == 0 })
	tenantKeys := [][]byte{wrappedKey(ctx, t, w, "tenant"), wrappedKey(ctx, t, w, "index"), wrappedKey(ctx, t, w, "data")}
	must(t, w.DB.EraseTenant(ctx))
	checkFiles(t, w, people, func(int) bool { return true })
	checkFiles(t, w, others, func(int) bool { return false })
	keys = filesIn(t, w.KeysDir)
	for i, key := range tenantKeys {
		if bytes.Contains(keys, key[:16]) || bytes.Contains(keys, key[28:]) {
			t.Errorf("key %d of the tenant is still there", i)
		}
	}
}

func checkFiles(t *testing.T, w *tenancytest.World, people []traceOf, gone func(i int) bool) {
	t.Helper()
	data, keys := filesIn(t, w.Dir), filesIn(t, w.KeysDir)
	for i := range people {
		x := &people[i]
		if x.keyLeft(keys) == gone(i) || x.plainLeft(data) == gone(i) {
			t.Errorf("person %d, erased %t: key there %t, plaintext %t", i, gone(i), x.keyLeft(keys), x.plainLeft(data))
		}
		if x.keyLeft(data) || !bytes.Contains(data, x.cipher) {
			t.Errorf("person %d: a key beside the data, or the ciphertext is gone", i)
		}
	}
}

// TestNoBytesLeftPostgres reads the server's files. What VACUUM frees it does not
// overwrite: the key that lay last in a full page is still there afterwards, which
// is what the record says. Once the tables are written anew nothing is left in them.
func TestNoBytesLeftPostgres(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newOffice(t, tenancytest.Postgres, nil)
	ctx := w.In(t, w.A)
	people := traced(ctx, t, w, 120)
	db, err := sql.Open("pgx", w.Owner)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	exec := func(text string) {
		_, err := db.ExecContext(ctx, text)
		must(t, err)
	}
	exec("ANALYZE art32_keys.keys") // as autovacuum does: samples of the rows in another table
	last := lastInPage(ctx, t, db, people)
	must(t, w.DB.Erase(ctx, last.id))
	dbtest.Settled(t, db)
	exec("VACUUM art32_keys.keys")
	if !last.keyLeft(serverFiles(ctx, t, db)) {
		t.Error("VACUUM overwrites: the record could say so")
	}
	r, err := w.DB.ErasureRecord(ctx, last.id)
	must(t, err)
	if !r.Files.UntilRewritten || !r.Files.InLog || r.Files.Overwritten || r.Files.LogEmptied {
		t.Errorf("the record says %+v", r.Files)
	}
	for i := range people {
		if i%3 == 0 {
			must(t, w.DB.Erase(ctx, people[i].id))
		}
	}
	var wrong []string
	for range 10 { // whoever else works on the server can keep dead rows from being left out
		dbtest.Settled(t, db)
		for _, table := range []string{"art32_keys.keys", "persons", "art32.event_parts"} {
			exec("VACUUM FULL " + table)
		}
		if wrong = leftOf(people, serverFiles(ctx, t, db), last.id); len(wrong) == 0 {
			return
		}
	}
	t.Errorf("of the people:\n%s", strings.Join(wrong, "\n"))
}

// TestSamplesAreGivenUp: what ANALYZE sampled of wrapped keys before it was told not to
// goes with the migration that tells it.
func TestSamplesAreGivenUp(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newOffice(t, tenancytest.Postgres, nil)
	ctx := w.In(t, w.A)
	traced(ctx, t, w, 120)
	db, err := sql.Open("pgx", w.Owner)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	look := func() (samples, triggers int) {
		t.Helper()
		must(t, db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM pg_stats WHERE schemaname = 'art32_keys' AND tablename = 'keys' AND attname = 'wrapped'),
			(SELECT count(*) FROM pg_trigger WHERE tgrelid = 'art32_keys.keys'::regclass AND NOT tgisinternal)`).Scan(&samples, &triggers))
		return samples, triggers
	}
	_, triggers := look()
	_, err = db.ExecContext(ctx, "ALTER TABLE art32_keys.keys ALTER COLUMN wrapped SET STATISTICS -1; ANALYZE art32_keys.keys")
	must(t, err)
	if samples, _ := look(); samples != 1 || triggers == 0 {
		t.Fatalf("%d columns sampled, %d triggers: nothing is tested", samples, triggers)
	}
	text, err := os.ReadFile("../crypto/keyring/migrations/postgres/0003_statistics.sql")
	must(t, err)
	_, err = db.ExecContext(ctx, string(text)+"; ANALYZE art32_keys.keys")
	must(t, err)
	if samples, kept := look(); samples != 0 || kept != triggers {
		t.Errorf("%d columns sampled, %d triggers; want none and %d", samples, kept, triggers)
	}
}

// leftOf says of whom there is more or less in the files than there should be: each
// third was erased, and last.
func leftOf(people []traceOf, files []byte, last uuid.UUID) (wrong []string) {
	for i := range people {
		x, gone := &people[i], i%3 == 0 || people[i].id == last
		if x.keyLeft(files) == gone || x.plainLeft(files) == gone {
			wrong = append(wrong, fmt.Sprintf("person %d, erased %t: key there %t, plaintext %t", i, gone, x.keyLeft(files), x.plainLeft(files)))
		}
	}
	return wrong
}

// lastInPage is the person whose key fills up a page that holds keys of people
// alone.
func lastInPage(ctx context.Context, t *testing.T, db *sql.DB, people []traceOf) *traceOf {
	t.Helper()
	var name string
	must(t, db.QueryRowContext(ctx, `SELECT name FROM art32_keys.keys WHERE (ctid::text::point)[0] = 1
		ORDER BY (ctid::text::point)[1] DESC LIMIT 1`).Scan(&name))
	for i := range people {
		if "subject/"+people[i].id.String() == name {
			return &people[i]
		}
	}
	t.Fatalf("%s is none of the people", name)
	return nil
}

// serverFiles are the files of the database as they lie on the server's disk.
func serverFiles(ctx context.Context, t *testing.T, db *sql.DB) (all []byte) {
	t.Helper()
	_, err := db.ExecContext(ctx, "CHECKPOINT")
	must(t, err)
	rows, err := db.QueryContext(ctx, `SELECT pg_read_binary_file(path, 0, 1 << 28, true) FROM (
		SELECT 'base/' || d.oid || '/' || f AS path FROM pg_database d, pg_ls_dir('base/' || d.oid) f WHERE d.datname = current_database()) x`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var b []byte
		must(t, rows.Scan(&b))
		all = append(all, b...)
	}
	must(t, rows.Err())
	return all
}

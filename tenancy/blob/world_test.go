package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/dirstore"
	"github.com/art32/art32/tenancy/tenancytest"
)

// attachment is a table as an application declares it.
type attachment struct {
	ID       uuid.UUID                 `db:"id"          art32:"key"`
	Tenant   tenancy.ID                `db:"tenant_id"   art32:"tenant"`
	Customer uuid.UUID                 `db:"customer_id" art32:"subject"`
	Name     field.Encrypted[string]   `db:"name"`
	Content  field.Encrypted[blob.Ref] `db:"content"`
}

// logo is one about nobody.
type logo struct {
	ID      uuid.UUID                 `db:"id"        art32:"key"`
	Tenant  tenancy.ID                `db:"tenant_id" art32:"tenant"`
	Content field.Encrypted[blob.Ref] `db:"content"`
}

var (
	attachments = tenancy.MustRepository[attachment]("attachments")
	logos       = tenancy.MustRepository[logo]("logos")
	schema      = tenancy.Schema{attachments, logos}
	migrations  = fstest.MapFS{
		"sqlite/0001_attachments.sql": {Data: []byte(
			`CREATE TABLE attachments (tenant_id TEXT NOT NULL, id TEXT NOT NULL, customer_id TEXT NOT NULL, name BLOB, content BLOB, PRIMARY KEY (tenant_id, id));
			CREATE TABLE logos (tenant_id TEXT NOT NULL, id TEXT NOT NULL, content BLOB, PRIMARY KEY (tenant_id, id));`)},
		"postgres/0001_attachments.sql": {Data: []byte(
			`CREATE TABLE attachments (tenant_id uuid NOT NULL, id uuid NOT NULL, customer_id uuid NOT NULL, name bytea, content bytea, PRIMARY KEY (tenant_id, id));
			CREATE TABLE logos (tenant_id uuid NOT NULL, id uuid NOT NULL, content bytea, PRIMARY KEY (tenant_id, id));
			SELECT art32.protect('attachments'), art32.protect('logos');`)},
	}
)

func contentOf(a *attachment) *field.Encrypted[blob.Ref] { return &a.Content }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// world is an application with attachments.
type world struct {
	*tenancytest.World

	place *dirstore.Place
	dir   string
	store *blob.Store[attachment]
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	tenancytest.Each(t, schema, &tenancytest.Options{Migrations: migrations}, func(t *testing.T, w *tenancytest.World) {
		t.Helper()
		fn(t, join(t, w))
	})
}

func join(t *testing.T, w *tenancytest.World) *world {
	t.Helper()
	x := &world{World: w, dir: filepath.Join(t.TempDir(), "blobs")}
	must(t, os.Mkdir(x.dir, 0o700))
	var err error
	x.place, err = dirstore.Open(x.dir)
	must(t, err)
	t.Cleanup(func() { must(t, x.place.Close()) })
	x.store = newStore(t, x.place, nil)
	return x
}

func newStore(t *testing.T, p blob.Place, o *blob.Options) *blob.Store[attachment] {
	t.Helper()
	s, err := blob.New(attachments, contentOf, p, o)
	must(t, err)
	return s
}

// put puts a content about a new customer.
func (w *world) put(t *testing.T, tenant tenancy.ID, content []byte) attachment {
	t.Helper()
	a := attachment{Customer: uuid.New(), Name: field.New("Vertrag Müller.pdf")}
	must(t, w.store.Put(w.In(t, tenant), w.DB, &a, bytes.NewReader(content)))
	return a
}

// read reads a row and its content.
func (w *world) read(ctx context.Context, id uuid.UUID) ([]byte, error) {
	a, err := attachments.Get(ctx, w.DB, id)
	if err != nil {
		return nil, err
	}
	r, err := w.store.Open(ctx, &a)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// files are the objects in the folder, by their paths.
func (w *world) files(t *testing.T) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(w.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, name)
		}
		return err
	}))
	return all
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

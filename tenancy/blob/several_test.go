package blob_test

import (
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/dirstore"
)

// pair has two contents, of which a store would know one.
type pair struct {
	ID     uuid.UUID                 `db:"id"        art32:"key"`
	Tenant tenancy.ID                `db:"tenant_id" art32:"tenant"`
	Front  field.Encrypted[blob.Ref] `db:"front"`
	Back   field.Encrypted[blob.Ref] `db:"back"`
}

// A table with several contents is refused: Sweep would take those of the other
// columns for lost.
func TestOneContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	place, err := dirstore.Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = place.Close() })
	_, err = blob.New(tenancy.MustRepository[pair]("pairs"), func(p *pair) *field.Encrypted[blob.Ref] { return &p.Front }, place, nil)
	if err == nil {
		t.Error("a table with two contents was taken")
	}
	if _, err := blob.New(attachments, contentOf, place, nil); err != nil {
		t.Errorf("a table with one: %v", err)
	}
}

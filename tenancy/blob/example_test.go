package blob_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/stagetest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/dirstore"
	"github.com/art32/art32/tenancy/tenancytest"
)

// A customer's contract is put, read by its tenant alone, and erased with the customer.
func Example() {
	t := stagetest.New() // the t of a test
	defer t.End()
	w := tenancytest.New(t, schema, &tenancytest.Options{Migrations: migrations})
	ctx, db := w.In(t, w.A), w.DB

	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		fmt.Println(err)
		return
	}
	place, err := dirstore.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer place.Close()
	files, err := blob.New(attachments, func(a *attachment) *field.Encrypted[blob.Ref] { return &a.Content }, place, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	a := attachment{Customer: uuid.New(), Name: field.New("Vertrag.pdf")}
	fmt.Println("put:", files.Put(ctx, db, &a, strings.NewReader("content of the contract")))

	a, err = attachments.Get(ctx, db, a.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := files.Open(ctx, &a)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r)
	fmt.Printf("%s, %d bytes, %v\n", text, r.Size(), errors.Join(err, r.Close()))

	_, err = attachments.Get(w.In(t, w.B), db, a.ID)
	fmt.Println("another tenant:", errors.Is(err, tenancy.ErrNotFound))

	fmt.Println("erase:", db.Erase(ctx, a.Customer))
	a, err = attachments.Get(ctx, db, a.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = files.Open(ctx, &a)
	fmt.Println("erased:", errors.Is(err, field.ErrErased))
	// Output:
	// put: <nil>
	// content of the contract, 23 bytes, <nil>
	// another tenant: true
	// erase: <nil>
	// erased: true
}

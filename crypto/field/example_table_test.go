package field_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
)

// customer is a row of a table that the application itself writes.
type customer struct {
	ID    string
	Email field.Encrypted[string]
	Born  field.Encrypted[field.Date]
}

// fields names the columns, to which the ciphertexts are bound.
func (c *customer) fields() field.Fields { return field.Fields{"email": &c.Email, "born": &c.Born} }

func row(id string) field.Scope { return field.Scope{Tenant: "acme", Table: "customers", Row: id} }

type customers struct {
	db     *sql.DB
	cipher *field.Cipher
}

func (s customers) insert(ctx context.Context, c customer) error {
	if err := c.fields().Seal(s.cipher, row(c.ID)); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "INSERT INTO customers (id, email, born) VALUES (?, ?, ?)", c.ID, c.Email, c.Born)
	return err
}

func (s customers) get(ctx context.Context, id string) (c customer, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT id, email, born FROM customers WHERE id = ?", id).Scan(&c.ID, &c.Email, &c.Born)
	c.fields().Attach(s.cipher, row(c.ID))
	return c, err
}

// newKey makes the data key, once; what it returns is kept, in a file or table.
func newKey(ctx context.Context, root keyring.Wrapper) (wrapped []byte, err error) {
	key := field.NewKey()
	defer clear(key)
	return root.Wrap(ctx, key, []byte("customers"))
}

// openKey runs at each start.
func openKey(ctx context.Context, root keyring.Wrapper, wrapped []byte) (*field.Cipher, error) {
	key, err := root.Unwrap(ctx, wrapped, []byte("customers"))
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return field.NewCipher(1, key)
}

// Without package tenancy: a table of the application's own, database/sql, and one
// data key under a root key that lies in a file or a key management service.
func Example_ownTable() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "field")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := ownTable(ctx, dir); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {42 [encrypted] [encrypted]}
	// juergen@example.org 1985-03-01 <nil>
	// moved: true
}

func ownTable(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "root.key")
	if err := keyring.CreateKeyFile(file); err != nil {
		return err
	}
	root, err := keyring.KeyFile(file) // or a keyring.Wrapper over the service
	if err != nil {
		return err
	}
	wrapped, err := newKey(ctx, root)
	if err != nil {
		return err
	}
	cipher, err := openKey(ctx, root, wrapped)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "customers.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE customers (id TEXT PRIMARY KEY, email BLOB, born BLOB)"); err != nil {
		return err
	}
	return useTable(ctx, customers{db: db, cipher: cipher})
}

func useTable(ctx context.Context, s customers) error {
	err := s.insert(ctx, customer{
		ID: "42", Email: field.New("juergen@example.org"), Born: field.New(field.Date{Year: 1985, Month: 3, Day: 1}),
	})
	if err != nil {
		return err
	}
	c, err := s.get(ctx, "42")
	if err != nil {
		return err
	}
	fmt.Println(c)
	email, err := c.Email.Reveal()
	born, bornErr := c.Born.Reveal()
	fmt.Println(email, born, errors.Join(err, bornErr))

	_, err = s.db.ExecContext(ctx, "INSERT INTO customers SELECT '43', email, born FROM customers WHERE id = '42'")
	if err != nil {
		return err
	}
	c, err = s.get(ctx, "43")
	_, moved := c.Email.Reveal()
	fmt.Println("moved:", errors.Is(moved, field.ErrOpen))
	return err
}

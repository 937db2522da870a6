package field_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/art32/art32/crypto/field"
)

// A field holds plaintext until a repository seals it for its place.
func Example() {
	type customer struct {
		ID    string
		Email field.Encrypted[string]
	}
	key := make([]byte, field.KeySize) // package keyring keeps and destroys keys
	rand.Read(key)
	cipher, err := field.NewCipher(1, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	scope := field.Scope{Tenant: "acme", Table: "customers", Column: "email", Row: "42"}

	c := customer{ID: "42", Email: field.New("juergen@example.org")}
	fmt.Println(c)
	if err := c.Email.Seal(cipher, scope); err != nil { // before INSERT
		fmt.Println(err)
		return
	}

	var back customer
	back.Email.Load(c.Email.Ciphertext()) // after SELECT
	back.Email.Attach(cipher, scope)
	fmt.Println(back.Email.Reveal())

	moved := scope
	moved.Row = "43"
	back.Email.Attach(cipher, moved)
	_, err = back.Email.Reveal()
	fmt.Println(errors.Is(err, field.ErrOpen))
	// Output:
	// {42 [encrypted]}
	// juergen@example.org <nil>
	// true
}

// A request body decodes; the answer shows nothing.
func ExampleEncrypted_UnmarshalJSON() {
	var body struct{ Email field.Encrypted[string] }
	err := json.Unmarshal([]byte(`{"Email":"a@example.org"}`), &body)
	fmt.Println(err)
	text, err := json.Marshal(body)
	fmt.Println(string(text), err)
	fmt.Println(json.Unmarshal(text, &body))
	// Output:
	// <nil>
	// {"Email":"[encrypted]"} <nil>
	// field: refused: this is the redaction marker, not a value
}

// A blind index finds candidates; the decrypted plaintexts decide.
func ExampleNewIndex() {
	key := bytes.Repeat([]byte{1}, field.KeySize) // the tenant's index key
	x, err := field.NewIndex(key, "customers.email", field.Email, 100_000)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Width(), "bits")
	fmt.Println(bytes.Equal(x.Sum("Juergen@Example.org "), x.Sum("juergen@example.org")))
	fmt.Println(x.Normalize("Juergen@Example.org "))
	// Output:
	// 15 bits
	// true
	// juergen@example.org
}

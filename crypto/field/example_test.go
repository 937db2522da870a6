package field_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/art32/art32/crypto/field"
)

// A field holds plaintext until a repository seals it for its place.
func Example() {
	type customer struct {
		ID    string
		Email field.Encrypted[string]
	}
	key := field.NewKey() // package keyring keeps and destroys keys
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

// An attachment is sealed as it comes in, and served from any place of it: only
// the chunks that a client asks for are decrypted.
func ExampleCipher_OpenStream() {
	cipher, err := field.NewCipher(1, field.NewKey())
	if err != nil {
		fmt.Println(err)
		return
	}
	scope := field.Scope{Tenant: "acme", Table: "documents", Column: "content", Row: "7"}
	upload := strings.NewReader(strings.Repeat("Lebenslauf ", 100_000))

	var store bytes.Buffer // a file, or an object of a store
	w, err := cipher.SealStream(&store, scope)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := w.ReadFrom(upload); err != nil { // not io.Copy, which may pass an error by
		fmt.Println(err) // without Close: what came in so far does not open
		return
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	serve := func(w http.ResponseWriter, r *http.Request) {
		content, err := cipher.OpenStream(bytes.NewReader(store.Bytes()), int64(store.Len()), scope)
		if err != nil {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "cv.txt", time.Time{}, content)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Range", "bytes=1099989-1099998")
	answer := httptest.NewRecorder()
	serve(answer, r)
	fmt.Println(answer.Code, answer.Body)

	store.Truncate(store.Len() - 100_000)
	answer = httptest.NewRecorder()
	serve(answer, r)
	fmt.Println(answer.Code)
	// Output:
	// 206 Lebenslauf
	// 404
}

// A column is encrypted while the application runs: until the date rows may still
// hold plaintext, and whoever watches the count knows when none is left.
func ExampleMigration() {
	migration, err := field.NewMigration(field.DateOf(time.Now().AddDate(0, 3, 0)))
	if err != nil {
		fmt.Println(err)
		return
	}
	cipher, err := field.NewCipher(1, field.NewKey())
	if err != nil {
		fmt.Println(err)
		return
	}
	scope := field.Scope{Tenant: "acme", Table: "customers", Column: "email", Row: "42"}

	var email field.Encrypted[string]
	if err := email.Scan([]byte("juergen@example.org")); err != nil { // of an old row
		fmt.Println(err)
		return
	}
	email.Attach(cipher.Accepting(migration), scope)
	fmt.Println(email.Reveal())
	fmt.Println(email.Value())
	fmt.Println(email.Seal(cipher, scope), len(email.Ciphertext()))
	fmt.Println(migration.Reads())
	// Output:
	// juergen@example.org <nil>
	// <nil> field: not sealed; write it through a repository or seal it first
	// <nil> 84
	// 2
}

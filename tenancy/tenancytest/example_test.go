package tenancytest_test

import (
	"errors"
	"fmt"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/stagetest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// A test gets a database, two tenants and somebody who acts.
func ExampleNew() {
	t := stagetest.New() // the t of a test
	defer t.End()

	w := tenancytest.New(t, schema, options(t))
	c := customer{Email: field.New("anna@example.org"), City: "Köln"}
	fmt.Println("A inserts:", customers.Insert(w.In(t, w.A), w.DB, &c))
	_, err := customers.Get(w.In(t, w.B), w.DB, c.ID)
	fmt.Println("B finds nothing:", errors.Is(err, tenancy.ErrNotFound))

	fmt.Println("A erases:", w.DB.Erase(w.In(t, w.A), c.ID))
	other := w.Reopen(t) // another instance of the program
	c, err = customers.Get(other.In(t, w.A), other.DB, c.ID)
	fmt.Printf("city %q, %v\n", c.City, err)
	w.Verify(t)
	// Output:
	// A inserts: <nil>
	// B finds nothing: true
	// A erases: <nil>
	// city "", <nil>
}

// Each case says for which clause it is evidence.
func ExampleCases() {
	t := stagetest.New()
	defer t.End()

	w := tenancytest.New(t, schema, options(t))
	for _, c := range tenancytest.Cases()[:3] {
		fmt.Println(c.Measure, c.Explanation, c.Check(t.Context(), w))
	}
	// Output:
	// TOM-8.1 Without a tenant in the context every verb fails with ErrNoTenant. <nil>
	// TOM-8.1 For a tenant that does not exist every verb fails with ErrUnknownTenant. <nil>
	// TOM-8.1 A row of one tenant does not exist for another, and no verb of the other changes it. <nil>
}

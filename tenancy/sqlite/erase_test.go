package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// TestEraseLeavesNothing: the columns of class personal of erased people are in
// no file, free space of pages that split and merged included.
func TestEraseLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, journal{})
		ctx := h.tenant(t)
		const people = 300
		rows := make([]customer, people)
		for i := range rows { // random ids: pages split everywhere
			rows[i] = customer{Name: field.New("N"), City: canaryOf(i) + strings.Repeat(".", i%90), Plan: "free"}
			must(t, customers.Insert(ctx, h.db, &rows[i]))
		}
		for i := range rows { // rows that grow move to other pages
			must(t, customers.Edit(ctx, h.db, rows[(i*7)%people].ID, func(c *customer) error {
				c.Plan = strings.Repeat("plan", 10+i%120)
				return nil
			}))
		}
		if !holds(t, h.dir, canaryOf(7)) {
			t.Fatal("the test proves nothing: the canary was in no file")
		}
		for i := range rows {
			if i%3 == 0 {
				must(t, h.db.Erase(ctx, rows[i].ID))
			}
		}
		left := 0
		for i := 0; i < people; i += 3 {
			if holds(t, h.dir, canaryOf(i)) {
				left++
			}
		}
		if left > 0 {
			t.Errorf("the cities of %d erased people are still in a file", left)
		}
		if !holds(t, h.dir, canaryOf(7)) {
			t.Error("the city of another person is gone")
		}
	})
}

func canaryOf(i int) string { return fmt.Sprintf("Kanarienstadt-%04d", i) }

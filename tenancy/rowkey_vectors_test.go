package tenancy_test

import (
	_ "embed"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

//go:embed testdata/row-id-v1.json
var rowIDVectors []byte

type rowIDVector struct {
	Table string                                 `json:"table"`
	Key   []struct{ Column, Type, Value string } `json:"key"`
	ID    uuid.UUID                              `json:"id"`
}

// TestRowIDs: ids of version 1 are what they were, see docs/formats/row-id.md.
func TestRowIDs(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	var all []rowIDVector
	must(t, json.Unmarshal(rowIDVectors, &all))
	seen := map[uuid.UUID]bool{}
	for _, v := range all {
		id, err := v.object()
		if err != nil || id != v.ID {
			t.Errorf("%s %v: %s, want %s (%v)", v.Table, v.Key, id, v.ID, err)
		}
		seen[v.ID] = true
	}
	if len(seen) != len(all) || len(all) < 10 {
		t.Errorf("%d ids of %d", len(seen), len(all))
	}
}

// object asks the repository of the vector's table.
func (v rowIDVector) object() (uuid.UUID, error) {
	value := func(i int) string { return v.Key[i].Value }
	number := func(i int) serial { n, _ := strconv.ParseInt(value(i), 10, 32); return serial(n) }
	switch v.Table {
	case "shop.order_lines":
		return orderLines.Object(orderLineKey{orderID(uuid.MustParse(value(0))), skuID(value(1)), number(2)})
	case "memberships":
		return memberships.Object(both{uuid.MustParse(value(0)), uuid.MustParse(value(1))})
	case "options":
		return options.Object(value(0))
	}
	return readings.Object(number(0))
}

// TestRowIDsOfOtherStructs: neither the order of the fields nor the width of a number
// is part of an id; the names of table and columns are.
func TestRowIDsOfOtherStructs(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	type turned struct {
		Position int64      `db:"position"  art32:"key"`
		SKU      string     `db:"sku"       art32:"key"`
		Tenant   tenancy.ID `db:"tenant_id" art32:"tenant"`
		Order    uuid.UUID  `db:"order_id"  art32:"key"`
	}
	type renamed struct {
		Tenant   tenancy.ID `db:"tenant_id" art32:"tenant"`
		Order    uuid.UUID  `db:"order_id"  art32:"key"`
		SKU      string     `db:"sku"       art32:"key"`
		Position int64      `db:"place"     art32:"key"`
	}
	order := uuid.New()
	want, err := orderLines.Object(orderLineKey{orderID(order), "a", 3})
	must(t, err)
	key := struct {
		Order    uuid.UUID
		SKU      string
		Position int64
	}{order, "a", 3}
	got, err := tenancy.MustRepository[turned]("shop.order_lines").Object(key)
	if err != nil || got != want {
		t.Errorf("turned: %s, want %s (%v)", got, want, err)
	}
	for name, r := range map[string]interface {
		Object(id any) (uuid.UUID, error)
	}{
		"another column": tenancy.MustRepository[renamed]("shop.order_lines"), "another table": tenancy.MustRepository[turned]("lines"),
	} {
		if got, err := r.Object(key); err != nil || got == want {
			t.Errorf("%s: %s (%v)", name, got, err)
		}
	}
	id := uuid.New()
	if got, err := clients.Object(id); err != nil || got != id {
		t.Errorf("one UUID: %s, %v", got, err)
	}
}

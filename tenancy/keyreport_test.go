package tenancy_test

import (
	"testing"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// TestKeyReport: what a report comes to. 100 % is said of nothing that is not
// complete.
func TestKeyReport(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	column := func(c tenancy.ColumnKeys) tenancy.KeyReport {
		return tenancy.KeyReport{IndexVersions: 1, Tables: []tenancy.TableKeys{{Table: "t", Columns: []tenancy.ColumnKeys{c}}}}
	}
	index := func(x tenancy.IndexKeys) tenancy.KeyReport {
		r := column(tenancy.ColumnKeys{Current: 99, Index: &x})
		r.IndexVersions, r.Indexed = 2, true
		return r
	}
	older := map[uint32]int{1: 3, 4: 2}
	overtaken, noKey := column(tenancy.ColumnKeys{Current: 99}), column(tenancy.ColumnKeys{Current: 99})
	overtaken.Overtaken, noKey.Tables[0].NoKey = 1, 1
	notIndexed := index(tenancy.IndexKeys{})
	notIndexed.Indexed = false
	for name, c := range map[string]struct {
		r                     tenancy.KeyReport
		left, broken, percent int
	}{
		"nothing":             {tenancy.KeyReport{}, 0, 0, 100},
		"all":                 {column(tenancy.ColumnKeys{Current: 7, Erased: 9}), 0, 0, 100},
		"half":                {column(tenancy.ColumnKeys{Current: 5, Older: older}), 5, 0, 50},
		"none":                {column(tenancy.ColumnKeys{Older: older}), 5, 0, 0},
		"rounded down":        {column(tenancy.ColumnKeys{Current: 100_000, Older: map[uint32]int{1: 1}}), 1, 0, 99},
		"broken":              {column(tenancy.ColumnKeys{Current: 99, Broken: tenancy.Cells{Count: 1}}), 0, 1, 99},
		"index":               {index(tenancy.IndexKeys{Current: 99}), 0, 0, 100},
		"index, older":        {index(tenancy.IndexKeys{Older: older}), 5, 0, 95},
		"index, wrong":        {index(tenancy.IndexKeys{Wrong: 99}), 99, 0, 50},
		"index, unknown":      {index(tenancy.IndexKeys{Unknown: 1}), 0, 1, 99},
		"index, conflict":     {index(tenancy.IndexKeys{Conflicts: tenancy.Cells{Count: 1}}), 0, 1, 99},
		"index, undescribed":  {index(tenancy.IndexKeys{Undescribed: true}), 0, 0, 99},
		"index, not compared": {notIndexed, 0, 0, 99},
		"overtaken":           {overtaken, 0, 0, 99},
		"no key":              {noKey, 0, 1, 99},
	} {
		if c.r.Left() != c.left || c.r.Broken() != c.broken || c.r.Percent() != c.percent || c.r.Complete() != (c.percent == 100) {
			t.Errorf("%s: left %d, broken %d, %d %%, complete %v", name, c.r.Left(), c.r.Broken(), c.r.Percent(), c.r.Complete())
		}
	}
}

// FuzzCell: no bytes in a cell and no text in a key stop a run, and what is no
// ciphertext of the cell never counts as sealed.
func FuzzCell(f *testing.F) {
	w := newClub(f, "sqlite")
	m := w.join(f, "Anton")[0]
	good := w.cell(f, "members", "name", m.ID)
	for _, seed := range [][]byte{nil, {}, {1}, {1, 0, 0, 0, 1}, good, good[:len(good)-1], append([]byte{2}, good[1:]...), make([]byte, field.Overhead)} {
		f.Add(seed, m.ID.String())
	}
	f.Add(good, "x")
	f.Add(good, `", "`)
	db := w.Raw(f, w.A)
	f.Fuzz(func(t *testing.T, cell []byte, key string) {
		if key == m.ID.String() {
			w.exec(t, db, "UPDATE members SET name = $1 WHERE id = $2", cell, key)
		} else {
			w.exec(t, db, "INSERT OR REPLACE INTO members (tenant_id, id, name, name_bidx, plan) VALUES ('', $1, $2, $2, '')", key, cell)
		}
		r, err := w.db.Reseal(w.ctx, &tenancy.ResealOptions{Indexes: true})
		must(t, err)
		c := columnOf(t, r, "members", "name")
		if sealed := c.Current + sum(c.Older); sealed > 1 || sealed == 1 && c.Index.Current != 1 && key == m.ID.String() {
			t.Errorf("%+v, %+v", c, c.Index)
		}
		w.exec(t, db, "DELETE FROM members WHERE id <> $1", m.ID.String())
	})
}

func sum(of map[uint32]int) (n int) {
	for _, x := range of {
		n += x
	}
	return n
}

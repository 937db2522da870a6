package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestHostileCells: whatever somebody has put into cells and keys of rows, the
// rest is sealed anew, and the report tells where they are and not what they say.
func TestHostileCells(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar", "Dora", "Emil", "Kanarienvogel")
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		moved := w.cell(t, "members", "name", all[1].ID)
		bytes := "'\\x%x'"
		if w.Engine == tenancytest.SQLite {
			bytes = "x'%x'"
		}
		set := func(i int, value string) {
			w.raw(t, "UPDATE members SET name = "+value+" WHERE id = '"+all[i].ID.String()+"'")
		}
		set(0, fmt.Sprintf(bytes, moved))                                                 // of another row
		set(1, fmt.Sprintf(bytes, append([]byte{1, 0, 0, 0, 9}, make([]byte, 100)...)))   // a version that never was
		set(2, fmt.Sprintf(bytes, []byte{1, 0, 0, 0, 1}))                                 // cut off
		set(3, fmt.Sprintf(bytes, []byte{}))                                              // empty
		set(4, fmt.Sprintf(bytes, append([]byte{1, 0, 0, 0, 1}, make([]byte, 1<<20)...))) // long
		broken := 5
		if w.Engine == tenancytest.SQLite {
			for n, v := range []string{"7", "'Kanarienvogel'", "1.5", "randomblob(70)"} {
				key := []string{"x'00'", "'x'", "'a' || char(0)", "'zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz'"}[n]
				w.raw(t, "INSERT INTO notes (tenant_id, id, member_id, text) VALUES ('', "+key+", '', "+v+")")
				w.raw(t, "INSERT INTO notes (tenant_id, id, member_id, text) VALUES ('', '"+uuid.NewString()+"', 'nobody', "+v+")")
				w.raw(t, "INSERT INTO members (tenant_id, id, plan, score, email_bidx) VALUES ('', '"+uuid.NewString()+"', '', "+v+", "+v+")")
			}
		}
		r, err := w.db.Reseal(w.ctx, nil)
		must(t, err)
		c := columnOf(t, r, "members", "name")
		if c.Broken.Count != broken || len(c.Broken.Rows) != broken || c.Current != 1 || c.Index.Unknown != broken || r.Complete() || r.Percent() > 99 {
			t.Errorf("%+v, %+v", c, c.Index)
		}
		if r.Resealed != 6*3+1 || columnOf(t, r, "members", "email").Index.Current < 6 {
			t.Errorf("the rest: %+v", r)
		}
		if text, _ := json.Marshal(r); strings.Contains(string(text), "Kanarien") {
			t.Errorf("the report says what a cell says: %s", text)
		}
		d, err := w.db.DestroyRetired(w.ctx)
		must(t, err)
		if d.Retired.Index != 1 || columnOf(t, d, "members", "name").Broken.Count < 4 {
			t.Errorf("%+v", d)
		}
	})
}

// TestLostKey: a data subject whose key is not in the keystore does not stop the
// run.
func TestLostKey(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		w.rotate(t, keyring.SubjectKeys)
		w.raw(t, "UPDATE notes SET member_id = '"+uuid.NewString()+"' WHERE member_id = '"+all[0].ID.String()+"'")
		r, err := w.db.Reseal(w.ctx, nil)
		must(t, err)
		if c := columnOf(t, r, "notes", "text"); c.Broken.Count != 1 || c.Current != 1 || r.Resealed != 7 {
			t.Errorf("%+v", c)
		}
	})
}

// TestUniqueAcrossVersions: while the index key has two versions a value still
// stands once, and where two have passed each other the run says so.
func TestUniqueAcrossVersions(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		w.rotate(t, keyring.IndexKeys)
		twice := func(c tenancy.Conn, ctx context.Context) map[string]error {
			return map[string]error{
				"insert": members.Insert(ctx, c, &member{Email: field.New("ANTON@example.org")}),
				"edit": members.Edit(ctx, c, all[1].ID, func(m *member) error {
					m.Email = field.New("anton@example.org")
					return nil
				}),
				"update": members.Update(ctx, c, &member{ID: all[1].ID, Email: field.New("anton@example.org"), Plan: "x"}),
			}
		}
		check := func(where string, errs map[string]error) {
			t.Helper()
			for name, err := range errs {
				if !errors.Is(err, tenancy.ErrExists) {
					t.Errorf("%s, %s: %v, want ErrExists", where, name, err)
				}
			}
		}
		check("one shot", twice(w.db, w.ctx))
		must(t, w.db.InSQL(w.ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			check("in sql", twice(tx, ctx))
			return nil
		}))
		must(t, members.Edit(w.ctx, w.db, all[0].ID, func(m *member) error { m.Email = field.New("Anton@Example.org"); return nil }))
		must(t, members.Insert(w.ctx, w.db, &member{Email: field.New("cäsar@example.org")}))

		// Two writes that passed each other: the second under the new version.
		double := &member{Email: field.New("double@example.org")}
		must(t, members.Insert(w.ctx, w.db, double))
		w.raw(t, "UPDATE members SET email_bidx = NULL WHERE id = '"+double.ID.String()+"'")
		other := &member{Email: field.New("double@example.org"), Name: field.New("D")}
		must(t, members.Insert(w.ctx, w.db, other))
		r, err := w.db.Reseal(w.ctx, nil)
		must(t, err)
		x := columnOf(t, r, "members", "email").Index
		if x.Conflicts.Count != 1 || x.Conflicts.Rows[0] != double.ID && x.Conflicts.Rows[0] != other.ID || r.Complete() || r.Broken() != 1 {
			t.Errorf("%+v, %+v", x, r)
		}
		must(t, members.Delete(w.ctx, w.db, x.Conflicts.Rows[0]))
		w.reseal(t)
	})
}

// TestResealDescribed: a program without the structs does the same; without a
// description of the indexes it says so and leaves them.
func TestResealDescribed(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		infos := club.Info()
		for i := range infos {
			for j := range infos[i].Columns {
				c := &infos[i].Columns[j]
				c.Transform, c.Unique, c.Rows = "", false, 0
			}
		}
		before, err := tenancy.Described(infos)
		must(t, err)
		now, err := tenancy.Described(club.Info())
		must(t, err)
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		r, err := instanceOf(t, w.World, before, w.Store).db.Reseal(w.ctx, nil)
		must(t, err)
		if x := columnOf(t, r, "members", "email").Index; r.Resealed != 8 || r.Reindexed != 0 || !x.Undescribed || r.Complete() {
			t.Errorf("before: %+v", r)
		}
		r, err = instanceOf(t, w.World, now, w.Store).db.Reseal(w.ctx, nil)
		must(t, err)
		if r.Resealed != 0 || r.Reindexed != 4 || !r.Complete() {
			t.Errorf("now: %+v", r)
		}
		w.forget(t)
		w.settled(t)
		for _, m := range all {
			must(t, w.readable(w.ctx, m))
			name, _ := m.Name.Reveal()
			if n, err := w.found(w.ctx, name); n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
	})
}

// TestEraseBesideReseal: whoever is erased between the reading and the writing of
// a row stays erased: no index value comes back.
func TestEraseBesideReseal(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		w.raw(t, "UPDATE members SET name_bidx = NULL, email_bidx = NULL WHERE id = '"+all[0].ID.String()+"'")
		erased := false
		db, err := w.watch(club, func(what string) {
			if !erased && strings.HasPrefix(what, "before ") && strings.Contains(what, "UPDATE") && strings.Contains(what, `"members"`) {
				erased = true
				must(t, w.db.Erase(w.ctx, all[0].ID))
			}
		})
		must(t, err)
		_, err = db.Reseal(w.ctx, &tenancy.ResealOptions{Indexes: true})
		must(t, err)
		if !erased || w.cell(t, "members", "name_bidx", all[0].ID) != nil || w.cell(t, "members", "email_bidx", all[0].ID) != nil {
			t.Errorf("erased %v, and an index value is back", erased)
		}
		if name, _ := all[1].Name.Reveal(); name != "Berta" {
			t.Error(name)
		}
	})
}

// TestOvertaken: what somebody writes between the reading and the writing of a
// row stays.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		times := 0
		db, err := w.watch(club, func(what string) {
			if times == 0 && strings.HasPrefix(what, "before ") && strings.Contains(what, "UPDATE") && strings.Contains(what, `"members"`) {
				times++
				must(t, members.Edit(w.ctx, w.db, all[0].ID, func(m *member) error {
					m.Name, m.Score = field.New(fmt.Sprint("Anton", times)), field.New(int64(times))
					return nil
				}))
			}
		})
		must(t, err)
		r, err := db.Reseal(w.ctx, nil)
		must(t, err)
		got, err := members.Get(w.ctx, w.db, all[0].ID)
		must(t, err)
		if name, err := got.Name.Reveal(); name != fmt.Sprint("Anton", times) || err != nil || times == 0 {
			t.Errorf("%q, %v after %d edits", name, err, times)
		}
		if n, err := members.Count(w.ctx, w.db, memberName.Eq(fmt.Sprint("Anton", times))); n != 1 || err != nil {
			t.Errorf("found %d, %v", n, err)
		}
		if !r.Complete() {
			t.Errorf("%+v", r)
		}
	})
}

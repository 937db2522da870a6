package keyring

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// SetPage has a rotation go on in steps of n keys.
func SetPage(r *Ring, n int) { r.page = n }

// Statement is one as it is sent.
type Statement struct {
	Text string
	Args []any
}

// StatementsOn are the statements of a keystore that take many keys of a tenant,
// about these ones.
func StatementsOn(store Store, tenant uuid.UUID, records []Record) (map[string]Statement, error) {
	s, ok := store.(*sqlStore)
	if !ok {
		return nil, fmt.Errorf("keyring: %T has no statements", store)
	}
	id, now := tenant.String(), time.Now().UnixMilli()
	out := map[string]Statement{"clear": {s.more.clear, []any{id, records[0].Name, records[len(records)-1].Name, now}}}
	add := func(name, text string, args []any, row func(Record) []any) {
		g := s.given(args...)
		for _, r := range records {
			g.add(row(r)...)
		}
		out[name] = Statement{g.into(text), g.args}
	}
	pair := func(r Record) []any { return []any{r.Name, int64(r.Version)} }
	fresh := func(r Record) []any {
		return []any{r.Name, int64(r.Version) + 1, r.Wrapped, under(r.Name, r.Wrapped)}
	}
	add("insert", s.text.insert, []any{id, now}, fresh)
	add("introduce", s.more.introduce, []any{id, now}, fresh)
	add("retire", s.more.retire, []any{id, now}, pair)
	add("rewrap", s.more.rewrap, []any{id}, func(r Record) []any {
		return append(pair(r), r.Wrapped, under(r.Name, r.Wrapped), r.Wrapped)
	})
	add("destroy", s.more.destroy, []any{id, now, now}, func(r Record) []any { return append(pair(r), header(r)) })
	add("report", s.more.report, []any{id, now, now}, pair)
	if !s.lite {
		add("lock", s.more.lock, []any{id}, pair)
	}
	rows := make([]importRow, len(records))
	for i, r := range records {
		rows[i] = newImportRow(CopiedRecord{Record: r})
	}
	list, err := json.Marshal(rows)
	for name, text := range map[string]string{"copy add": s.copies().add, "copy erase": s.copies().erase, "copy count": s.copies().count} {
		out[name] = Statement{text, []any{string(list)}}
	}
	return out, err
}

package pgsource_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/tenancy"
)

// counted is a sink that counts rows by tenant and looks at their order.
type counted struct {
	rows  map[tenancy.ID]int
	files int
	most  int64
	told  map[tenancy.ID]backup.Table
	text  map[tenancy.ID]*bytes.Buffer
}

func newCounted() *counted {
	return &counted{rows: make(map[tenancy.ID]int), told: make(map[tenancy.ID]backup.Table), text: make(map[tenancy.ID]*bytes.Buffer)}
}

func (c *counted) File(_ context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil || int64(len(text)) != size || size == 0 || text[len(text)-1] != '\n' || !strings.HasPrefix(name, "data/public.t/") {
		return fmt.Errorf("file %s of %d bytes, not %d: %w", name, len(text), size, err)
	}
	c.rows[tenant] += bytes.Count(text, []byte{'\n'})
	c.files++
	c.most = max(c.most, size)
	if c.text[tenant] == nil {
		c.text[tenant] = &bytes.Buffer{}
	}
	if size < 1<<10 {
		c.text[tenant].Write(text)
	}
	return nil
}

func (c *counted) Table(tenant tenancy.ID, t backup.Table) { c.told[tenant] = t }

// However many tenants there are, the buffers of all hold no more than one bound
// (and what one row makes a buffer grow).
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	ids := make([]tenancy.ID, 1000)
	for i := range ids {
		ids[i] = tenancy.NewID()
	}
	const rounds, width = 400, 1000 // 400 MB in all
	padding := strings.Repeat("x", width)
	sink := newCounted()
	most, _, err := pgsource.Split(t.Context(), sink, 8<<20, ids, func(yield func([]byte) bool) {
		row := make([]byte, 0, 2*width)
		for n := range rounds * len(ids) {
			row = fmt.Appendf(row[:0], "%s\t%s\n", ids[n%len(ids)], padding)
			if !yield(row) {
				return
			}
		}
	})
	must(t, err)
	if most > pgsource.MaxHeld+2*pgsource.MaxHeld/len(ids) {
		t.Errorf("%d bytes waited at once, at most %d may", most, pgsource.MaxHeld)
	}
	for _, id := range ids {
		if sink.rows[id] != rounds || sink.told[id].Rows != rounds {
			t.Fatalf("%d rows of a tenant, %d told, want %d", sink.rows[id], sink.told[id].Rows, rounds)
		}
	}
	if sink.files > 20*len(ids) {
		t.Errorf("%d files", sink.files)
	}
}

// Where the server cuts its messages makes no difference.
func TestSplitAnywhere(t *testing.T) {
	t.Parallel()
	a, b, unknown := tenancy.NewID(), tenancy.NewID(), tenancy.NewID()
	var text strings.Builder
	for n := range 50 {
		for _, id := range []string{a.String(), b.String(), unknown.String(), tenancy.ID{}.String(), `\N`} {
			fmt.Fprintf(&text, "%s\t%d%s\n", id, n, strings.Repeat("ä", n))
		}
	}
	var want map[tenancy.ID]backup.Table
	for _, step := range []int{1 << 20, 1, 2, 3, 37, 100} {
		sink := newCounted()
		_, _, err := pgsource.Split(t.Context(), sink, 300, []tenancy.ID{a, b}, func(yield func([]byte) bool) {
			for rest := []byte(text.String()); len(rest) > 0; {
				n := min(step, len(rest))
				if !yield(bytes.Clone(rest[:n])) {
					return
				}
				rest = rest[n:]
			}
		})
		must(t, err)
		if sink.rows[a] != 50 || sink.rows[b] != 50 || sink.rows[tenancy.ID{}] != 150 || sink.most > 300 {
			t.Errorf("step %d: %v, largest file %d", step, sink.rows, sink.most)
		}
		if lines := strings.Count(sink.text[a].String(), a.String()); lines != 50 {
			t.Errorf("step %d: %d rows of the tenant in its files", step, lines)
		}
		if want == nil {
			want = sink.told
		}
		for id, table := range want {
			if sink.told[id] != table {
				t.Errorf("step %d: %v, want %v", step, sink.told[id], table)
			}
		}
	}
	_, _, err := pgsource.Split(t.Context(), newCounted(), 300, nil, func(yield func([]byte) bool) { yield([]byte("cut")) })
	if err == nil {
		t.Error("a row without an end passed")
	}
}

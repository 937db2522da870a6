package pgsource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/rowsum"
	"github.com/art32/art32/tenancy"
)

// maxHeld bounds the rows of all tenants that wait in memory.
const maxHeld = 64 << 20

// splitter takes the rows of one table, as COPY writes them in its text format,
// one line each, and hands them on by tenant. Without a sink it only counts.
type splitter struct {
	ctx   context.Context
	sink  backup.Sink
	table *table
	field int // place of the tenant's column; -1: none
	size  int // of a file
	known map[string]tenancy.ID
	parts map[string]*heap // by the text of the tenant's column
	all   []*heap
	held  int    // bytes of all buffers
	most  int    // the largest held
	line  []byte // beginning of a row whose end has not come yet
	rows  int64
	err   error // of the sink
}

// heap is what came of one tenant.
type heap struct {
	tenant tenancy.ID
	buf    []byte
	files  int
	sum    rowsum.Sum
}

// newSplitter splits by those tenants that the database knows. What names no
// tenant, or one that is not known, belongs to what tenants share.
func newSplitter(ctx context.Context, sink backup.Sink, t *table, size int, tenants []tenancy.ID) *splitter {
	s := &splitter{
		ctx: ctx, sink: sink, table: t, field: t.tenantField(), size: size,
		known: make(map[string]tenancy.ID, len(tenants)), parts: make(map[string]*heap),
	}
	for _, id := range tenants {
		s.known[id.UUID().String()] = id
	}
	s.of(nil) // shared: also a table without rows is told of
	return s
}

// Write takes what COPY sends.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.line = append(s.line, p...)
			break
		}
		row := p[:end+1]
		if p = p[end+1:]; len(s.line) > 0 {
			row = append(s.line, row...)
			s.line = row[:0]
		}
		if s.err = s.add(row); s.err != nil {
			return 0, s.err
		}
	}
	return n, nil
}

// add takes a row with its line end.
func (s *splitter) add(row []byte) error {
	h := s.of(s.tenantOf(row))
	h.sum.Add(row[:len(row)-1])
	s.rows++
	if s.sink == nil {
		return nil
	}
	if len(h.buf) > 0 && len(h.buf)+len(row) > s.size {
		if err := s.flush(h); err != nil {
			return err
		}
	}
	before := cap(h.buf)
	h.buf = append(h.buf, row...)
	s.held += cap(h.buf) - before
	s.most = max(s.most, s.held)
	if s.held <= maxHeld {
		return nil
	}
	return s.relieve()
}

// tenantOf is the text of the tenant's column, which holds nothing that COPY
// would escape.
func (s *splitter) tenantOf(row []byte) []byte {
	if s.field < 0 {
		return nil
	}
	rest := row[:len(row)-1]
	for range s.field {
		_, rest, _ = bytes.Cut(rest, []byte{'\t'})
	}
	tenant, _, _ := bytes.Cut(rest, []byte{'\t'})
	return tenant
}

// of is the heap for the text of a tenant's column.
func (s *splitter) of(text []byte) *heap {
	if h, ok := s.parts[string(text)]; ok {
		return h
	}
	id, ok := s.known[string(text)]
	if !ok && len(s.all) > 0 {
		return s.parts[""]
	}
	h := &heap{tenant: id}
	s.all = append(s.all, h)
	s.parts[string(text)] = h
	return h
}

// flush hands a file on, and keeps the buffer.
func (s *splitter) flush(h *heap) error {
	if len(h.buf) == 0 {
		return nil
	}
	h.files++
	name := fmt.Sprintf("%s/%06d.copy", s.table.folder(), h.files)
	err := s.sink.File(s.ctx, h.tenant, name, int64(len(h.buf)), bytes.NewReader(h.buf))
	h.buf = h.buf[:0]
	return err
}

// relieve hands the largest buffers on, until half of what is allowed is left.
func (s *splitter) relieve() error {
	bySize := slices.SortedFunc(slices.Values(s.all), func(a, b *heap) int { return cmp.Compare(cap(b.buf), cap(a.buf)) })
	for _, h := range bySize {
		if s.held <= maxHeld/2 {
			return nil
		}
		if err := s.release(h); err != nil {
			return err
		}
	}
	return nil
}

func (s *splitter) release(h *heap) error {
	err := s.flush(h)
	s.held -= cap(h.buf)
	h.buf = nil
	return err
}

// end hands on what is left and tells what each part holds of the table.
func (s *splitter) end() error {
	if len(s.line) > 0 {
		return errors.New("the last row has no end")
	}
	for _, h := range s.all {
		if s.sink == nil {
			continue
		}
		if err := s.release(h); err != nil {
			return err
		}
		if t, ok := s.told(h); ok {
			s.sink.Table(h.tenant, t)
		}
	}
	return nil
}

// told is what a part holds of the table; false where a tenant, or what tenants
// share of a table that is theirs, has no row.
func (s *splitter) told(h *heap) (backup.Table, bool) {
	t := backup.Table{Name: s.table.label(), Rows: h.sum.Rows(), Fingerprint: h.sum.String()}
	return t, t.Rows > 0 || s.field < 0
}

// read runs COPY through the splitter and compares its count of rows.
func (s *splitter) read(ctx context.Context, conn *pgx.Conn) error {
	tag, err := conn.PgConn().CopyTo(ctx, s, s.table.copyOut())
	switch {
	case s.err != nil:
		return s.err
	case err != nil:
		return fmt.Errorf("read table %s: %w", s.table.label(), told(err))
	case tag.RowsAffected() != s.rows:
		return fmt.Errorf("read table %s: %d rows came of %d", s.table.label(), s.rows, tag.RowsAffected())
	}
	return s.end()
}

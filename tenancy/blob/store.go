package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// Recorder is what this package needs of the audit log; *audit.Recorder is one.
type Recorder interface {
	// Record writes into the log of the context's tenant. The caller must not perform
	// the action if an error is returned.
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Reads receives an event "<table>.open" before a content is opened, with the
	// object's id as "blob", as in the event of the row's insert. A content whose
	// event cannot be written is not opened. Default: reads leave no event.
	Reads Recorder
}

// grace is how long an object without a row is taken for one whose row is still to
// come.
const grace = 24 * time.Hour

// Store keeps the contents of the rows of one table. It is safe for concurrent use.
type Store[T any] struct {
	rows    *tenancy.Repository[T]
	content func(row *T) *field.Encrypted[Ref]
	place   Place
	reads   Recorder // nil for none
	grace   time.Duration
}

// New returns the store of a table's contents, of which a row has one. content gives the field of a row that
// refers to its content; the field is of the table, so that it is encrypted under the
// key of the row's data subject.
func New[T any](
	rows *tenancy.Repository[T], content func(row *T) *field.Encrypted[Ref], place Place, o *Options,
) (*Store[T], error) {
	if rows == nil || content == nil || place == nil || content(new(T)) == nil {
		return nil, errors.New("blob: new: rows, content and place must not be nil")
	}
	if several(reflect.TypeFor[T]()) {
		return nil, fmt.Errorf("blob: new: %s has more than one column of contents, of which Sweep would know one: give each a table", rows.Name())
	}
	s := &Store[T]{rows: rows, content: content, place: place, grace: grace}
	if o != nil {
		s.reads = o.Reads
	}
	return s, nil
}

// several reports whether rows have more than one content.
func several(row reflect.Type) bool {
	n := 0
	for f := range row.Fields() {
		if f.Type == reflect.TypeFor[field.Encrypted[Ref]]() {
			n++
		}
	}
	return n > 1
}

// Put keeps what r gives up to [io.EOF], at most [field.MaxStream] bytes, as the
// content of *row and inserts the row, with its event: first the object, then the
// row, so that no row ever lacks its content. What lies in the place before the row
// commits, or when it does not, is an object without a row, which nothing can open:
// [Store.Sweep] removes it.
//
// It holds a few chunks of 64 KiB and what the place does, whatever the length. The
// caller limits the length ([net/http.MaxBytesReader]). A transaction as c is open
// for as long as r takes only if it did something before. It returns the errors of
// [tenancy.Repository.Insert], of r and of the place, and [tenancy.ErrBadValue] for a
// row that has a content. It gives up on what takes longer than twelve hours.
func (s *Store[T]) Put(ctx context.Context, c tenancy.Conn, row *T, r io.Reader) error {
	if row == nil || r == nil || !s.content(row).IsNull() {
		return fmt.Errorf("blob: put: no row, no content, or a row that has one: %w", tenancy.ErrBadValue)
	}
	tenant, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return err
	}
	if _, err := tenancy.ActorFrom(ctx); err != nil { // Insert would say so after the upload
		return err
	}
	p := &ref{id: uuid.New(), tenant: tenant.UUID(), key: field.NewKey()}
	defer clear(p.key)
	begun := time.Now()
	if err := s.write(ctx, p, r); err != nil {
		return err
	}
	if time.Since(begun) > s.grace/2 { // Sweep may come before the commit
		return errors.New("blob: put: it took too long")
	}
	at := s.content(row)
	null := *at
	*at = field.New(p.text())
	err = s.rows.Insert(ctx, c, row)
	if err != nil {
		*at = null // so that the row can be put again
	}
	return err
}

// write puts the object, and notes its length.
func (s *Store[T]) write(ctx context.Context, p *ref, r io.Reader) error {
	name, err := s.name(ctx, p.id)
	if err != nil {
		return err
	}
	cipher, err := p.cipher()
	if err != nil {
		return err
	}
	in, err := newSealing(cipher, p.scope(s.rows.Name()), r)
	if err != nil {
		return err
	}
	err = s.place.Put(ctx, name, in)
	if in.failed != nil {
		return fmt.Errorf("blob: put: read content: %w", in.failed)
	}
	if err == nil && !in.whole {
		err = errors.New("the place took a part only")
	}
	if err != nil {
		return fmt.Errorf("blob: put: %w", err)
	}
	p.size = in.size
	return nil
}

// Open opens the content of a row that the tenant of ctx has read: by Get or List of
// the repository, for which a foreign row is [tenancy.ErrNotFound]. That it is the
// whole content shows before any of it is used: [field.ErrOpen] for one that is
// missing, or was cut, extended, exchanged or put back from before; for one that was
// changed within, at the latest when that part is read. The content of somebody who
// was erased is [field.ErrErased]. A row without content is [tenancy.ErrNotFound].
//
// The caller closes the reader. It goes on reading until then, or until ctx ends,
// also when the row is deleted meanwhile or the person erased.
func (s *Store[T]) Open(ctx context.Context, row *T) (*Reader, error) {
	if row == nil {
		return nil, fmt.Errorf("blob: open: no row: %w", tenancy.ErrBadValue)
	}
	p, err := s.ref(ctx, row)
	if err != nil {
		return nil, err
	}
	defer clear(p.key)
	if s.reads != nil {
		if err := s.reads.Record(ctx, s.rows.Name()+".open", slog.String("blob", p.id.String())); err != nil {
			return nil, fmt.Errorf("blob: open: record: %w", err)
		}
	}
	name, err := s.name(ctx, p.id)
	if err != nil {
		return nil, err
	}
	cipher, err := p.cipher()
	if err != nil {
		return nil, err
	}
	src := &source{ctx: ctx, place: s.place, name: name, size: field.StreamSize(p.size)}
	stream, err := cipher.OpenStream(src, src.size, p.scope(s.rows.Name()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blob: open: %w", err), src.Close())
	}
	return &Reader{stream, src}, nil
}

// ref is the reference of a row of ctx's tenant.
func (s *Store[T]) ref(ctx context.Context, row *T) (*ref, error) {
	tenant, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return nil, err
	}
	f := s.content(row)
	if f.IsNull() {
		return nil, fmt.Errorf("blob: the row has no content: %w", tenancy.ErrNotFound)
	}
	text, err := f.Reveal()
	if err != nil {
		return nil, fmt.Errorf("blob: read reference: %w", err)
	}
	p, err := text.parse()
	if err != nil {
		return nil, err
	}
	if p.tenant != tenant.UUID() {
		return nil, fmt.Errorf("blob: the row is of %w", tenancy.ErrOtherTenant)
	}
	return p, nil
}

// Delete deletes the row with the given id, of a type that the repository's Delete
// takes, with its event, and then its object: from the moment that the
// row is gone nobody has the key of the content. If the place fails, the row is
// deleted all the same, the error says so, and [Store.Sweep] removes the object; it
// also does so for rows that were deleted by the repository, in a transaction for
// example. A row that does not exist, or is another tenant's, is
// [tenancy.ErrNotFound].
func (s *Store[T]) Delete(ctx context.Context, db *tenancy.DB, id any) error {
	row, err := s.rows.Get(ctx, db, id)
	if err != nil {
		return err
	}
	p, err := s.ref(ctx, &row)
	known := err == nil
	if err != nil && !errors.Is(err, field.ErrErased) && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err := s.rows.Delete(ctx, db, id); err != nil || !known {
		return err
	}
	defer clear(p.key)
	name, err := s.name(ctx, p.id)
	if err == nil {
		err = s.place.Remove(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("blob: delete: the row is deleted, and the object left to Sweep: %w", err)
	}
	return nil
}

// folder is the part of names that is the table's; the prefix keeps it from being a
// name that some system has reserved.
func (s *Store[T]) folder() string { return "blobs." + s.rows.Name() }

// name is that of an object: it tells the tenant and the table, and nothing else.
func (s *Store[T]) name(ctx context.Context, id uuid.UUID) (string, error) {
	return tenancy.Key(ctx, s.folder(), id.String())
}

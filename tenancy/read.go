package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
)

// Get reads the row with the given id. That is a value of the type of the key's field
// or of the plain type below it (uuid.UUID, string, int, int64). Where the key has
// several columns, it is a struct whose fields have the names and types of those of
// the row that are the key, and no others. Another type, or a value of the key that
// is missing, is [ErrBadValue]. A row that does not exist or belongs to another
// tenant is [ErrNotFound]. Where the table says reads, it needs an actor.
func (r *Repository[T]) Get(ctx context.Context, c Conn, id any) (row T, err error) {
	key, err := r.rowKey(id)
	if err != nil {
		return row, err
	}
	u, err := c.unit(ctx, reads)
	if err != nil {
		return row, err
	}
	err = errPanic
	defer func() {
		if u.finish(ctx, &err); err != nil && r.t.reads {
			row = *new(T) // what could not be recorded is not handed over
		}
	}()
	if err = r.open(c, u); err == nil {
		err = r.fetch(ctx, u, r.texts(u.tx.eng.Dialect()).get, key, r.t.ends(u), &row)
	}
	if err == nil {
		err = r.tellRow(ctx, u, key.id, reflect.ValueOf(&row).Elem())
	}
	return row, err
}

// fetch reads one row into dst and readies its sealed fields.
func (r *Repository[T]) fetch(
	ctx context.Context, u *unit, text string, key rowKey, end engine.End, dst *T,
) error {
	if err := u.tx.enter(); err != nil {
		return err
	}
	defer u.tx.leave()
	if err := u.tx.tell(ctx, r.t.name); err != nil {
		return err
	}
	l := newLoader(r.t)
	stmt := engine.Stmt{SQL: text, Args: key.params(&u.tx.scope.Tenant)}
	c := Change{Action: r.t.name + ".read", Table: r.t.name, Object: key.id}
	err := u.tx.run(ctx, stmt, end, c, func(row engine.Row) error {
		return l.scan(row, reflect.ValueOf(dst).Elem())
	})
	if err == nil && l.rows == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return wrap("get", r.t.name, err)
	}
	return wrap("get", r.t.name, l.attachOne(ctx, u.tx, reflect.ValueOf(dst).Elem()))
}

// loader scans rows of one table; its buffers serve row after row.
type loader struct {
	t     *table
	dests []any
	bytes [][]byte
	rows  int // so far
}

func newLoader(t *table) *loader {
	return &loader{t: t, dests: make([]any, len(t.cols))}
}

// scan reads the current row into row, sealed fields still closed.
func (l *loader) scan(r engine.Row, row reflect.Value) error {
	l.rows++
	for i := range l.t.cols {
		c := &l.t.cols[i]
		if c.sealed() {
			if l.bytes == nil {
				l.bytes = make([][]byte, len(l.t.cols))
			}
			l.bytes[i] = nil
			l.dests[i] = &l.bytes[i]
			continue
		}
		l.dests[i] = row.Field(c.field).Addr().Interface()
	}
	if err := r.Scan(l.dests...); err != nil {
		return err
	}
	for i := range l.t.cols {
		if c := &l.t.cols[i]; c.sealed() {
			sealable(row, c).Load(l.bytes[i])
		}
	}
	return nil
}

func sealable(row reflect.Value, c *column) field.Sealable {
	return row.Field(c.field).Addr().Interface().(field.Sealable) //nolint:forcetypeassert // checked at declaration
}

// attachOne gives the sealed fields of one row their key.
func (l *loader) attachOne(ctx context.Context, tx *Tx, row reflect.Value) error {
	if !l.t.anySealed(row) {
		return nil
	}
	subject := l.t.subjectOf(row)
	var cipher *field.Cipher
	var err error
	if subject == uuid.Nil {
		cipher, err = tx.db.keys.TenantCipher(ctx, tx.scope.Tenant)
	} else {
		cipher, err = tx.db.keys.Cipher(ctx, tx.scope.Tenant, subject)
	}
	if err != nil && !errors.Is(err, keyring.ErrErased) {
		return fmt.Errorf("key of the data subject: %w", err)
	}
	l.t.attach(row, cipher, tx.Tenant().String())
	return nil
}

// attach gives the row's sealed fields their key; a nil cipher means erased.
func (t *table) attach(row reflect.Value, cipher *field.Cipher, tenant string) {
	key := t.keyOf(row).String()
	for i := range t.cols {
		if c := &t.cols[i]; c.sealed() {
			sealable(row, c).Attach(c.reader(cipher), t.scope(c, tenant, key))
		}
	}
}

// reader is the cipher by which the column is read; nil means erased.
func (c *column) reader(cipher *field.Cipher) *field.Cipher {
	if cipher == nil || c.migration == nil {
		return cipher
	}
	return cipher.Accepting(c.migration)
}

// scope is what a field's ciphertext is bound to.
func (t *table) scope(c *column, tenant, key string) field.Scope {
	return field.Scope{Tenant: tenant, Table: t.name, Column: c.name, Row: key}
}

// anySealed reports whether a sealed field of the row holds something.
func (t *table) anySealed(row reflect.Value) bool {
	for i := range t.cols {
		if c := &t.cols[i]; c.sealed() && !sealable(row, c).IsNull() {
			return true
		}
	}
	return false
}

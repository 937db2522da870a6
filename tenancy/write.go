package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
)

// Insert adds *row. It draws an id where the key is one UUID that is nil, fills the
// tenant, seals the encrypted fields, and records the event in the same transaction.
// A row that names another tenant is refused with [ErrOtherTenant], and the refusal
// recorded; a key or unique value that exists is [ErrExists]. Of any other key no
// UUID may be nil and no text empty: [ErrBadValue].
func (r *Repository[T]) Insert(ctx context.Context, c Conn, row *T) (err error) {
	u, err := r.writer(ctx, c)
	if err != nil {
		return err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.insert(ctx, u, row)
}

func (r *Repository[T]) writer(ctx context.Context, c Conn) (*unit, error) {
	u, err := c.unit(ctx, writes)
	if err != nil {
		return nil, err
	}
	if err := r.open(c, u); err != nil {
		u.finish(ctx, &err)
		return nil, err
	}
	return u, nil
}

func (r *Repository[T]) insert(ctx context.Context, u *unit, row *T) error {
	if row == nil {
		return fmt.Errorf("tenancy: insert %s: no row: %w", r.t.name, ErrBadValue)
	}
	if err := u.tx.enter(); err != nil {
		return err
	}
	defer u.tx.leave()
	v := reflect.ValueOf(row).Elem()
	r.t.drawKey(v)
	key, err := r.t.checkedKey(v)
	if err != nil {
		return err
	}
	r.t.setVersion(u.tx, v, 1)
	c := r.change("insert", key.id, r.t.subjectOf(v))
	if r.t.subject >= 0 && c.Subject == uuid.Nil {
		return fmt.Errorf("tenancy: %s: row names no data subject: %w", c.Action, ErrBadValue)
	}
	if err := r.claim(u.tx, v, c); err != nil {
		return err
	}
	args, err := r.seal(ctx, u.tx, v)
	if err != nil {
		return wrap("insert", r.t.name, u.tx.unknown(ctx, err))
	}
	if err := r.free(ctx, u.tx, v); err != nil {
		return wrap(c.Action, "row", err)
	}
	if c.Fields, err = r.t.diff(reflect.Value{}, v); err != nil {
		return wrap("insert", r.t.name, err)
	}
	x := r.texts(u.tx.eng.Dialect())
	return r.writeAbout(ctx, u, c, engine.Stmt{SQL: x.insert, Args: args, Rows: x.rows})
}

// unknown turns the keystore's error about a tenant without keys into
// [ErrUnknownTenant] if the database does not know the tenant either.
func (tx *Tx) unknown(ctx context.Context, err error) error {
	if !errors.Is(err, keyring.ErrNoTenant) {
		return err
	}
	_, dbErr := tx.eng.Run(ctx, engine.Stmt{SQL: "SELECT 1"}, engine.Continue, nil)
	if errors.Is(dbErr, ErrUnknownTenant) {
		return dbErr
	}
	return err
}

// record queues the event of c in tx.
func (tx *Tx) record(ctx context.Context, c Change) error {
	tx.telling = true
	err := tx.db.log.Change(ctx, tx, c)
	tx.telling = false
	tx.events = tx.events || err == nil
	return tx.unknown(ctx, err)
}

// write records c and runs its statement, in one round trip.
func (r *Repository[T]) write(ctx context.Context, u *unit, c Change, s engine.Stmt) error {
	if err := u.tx.record(ctx, c); err != nil {
		return wrap("record", c.Action, err)
	}
	return wrap(c.Action, "row", u.write(ctx, s, c))
}

// writeAbout is write for a row that may tell of people, refused with [ErrErased]
// if its data subject, or the whole tenant, was erased.
func (r *Repository[T]) writeAbout(ctx context.Context, u *unit, c Change, s engine.Stmt) error {
	if c.Subject == uuid.Nil && !r.t.holdsPersonal() {
		return r.write(ctx, u, c, s)
	}
	if err := u.tx.record(ctx, c); err != nil {
		return wrap("record", c.Action, err)
	}
	u.tx.eng.Queue(s)
	err := u.write(ctx, guard(u.tx.eng.Dialect(), u.tx.scope.Tenant, c.Subject), c)
	return wrap(c.Action, "row", u.tx.ofGuard(ctx, err, c.Subject))
}

// ofGuard says that a write failed because somebody was erased, where that is so.
func (tx *Tx) ofGuard(ctx context.Context, err error, subjects ...uuid.UUID) error {
	if !errors.Is(err, ErrBadValue) && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, s := range subjects {
		if gone, kerr := tx.db.keyGone(ctx, tx.scope.Tenant, s); kerr == nil && gone {
			return ErrErased
		}
	}
	return err
}

// aboutPerson reports whether the change writes something about a person.
func aboutPerson(fields []FieldChange) bool {
	return slices.ContainsFunc(fields, func(f FieldChange) bool {
		return f.New != nil && (f.Class == Encrypted || f.Class == Personal && !reflect.ValueOf(f.New).IsZero())
	})
}

func (r *Repository[T]) change(verb string, object, subject uuid.UUID) Change {
	return Change{
		Action: r.t.name + "." + verb, Table: r.t.name, Object: object, Subject: subject, Outcome: Done,
	}
}

// claim fills the row's tenant, or refuses a row that names another.
func (r *Repository[T]) claim(tx *Tx, v reflect.Value, c Change) error {
	f := v.Field(r.t.cols[r.t.tenant].field)
	switch id, _ := reflect.TypeAssert[ID](f); {
	case id.IsZero():
		f.Set(reflect.ValueOf(tx.Tenant()))
	case id != tx.Tenant():
		c.Detail = "the row names another tenant"
		tx.Refuse(c)
		return fmt.Errorf("tenancy: %s: %w", c.Action, ErrOtherTenant)
	}
	return nil
}

// drawKey draws an id where the key is one UUID that the row lacks.
func (t *table) drawKey(v reflect.Value) {
	if !t.derives() && t.keyOf(v) == uuid.Nil {
		f := v.Field(t.cols[t.keys[0]].field)
		f.Set(reflect.ValueOf(uuid.New()).Convert(f.Type()))
	}
}

// seal seals the fresh fields of a row and returns the parameters of insert and
// update: tenant, key, the other columns, the blind indexes.
func (r *Repository[T]) seal(ctx context.Context, tx *Tx, v reflect.Value) ([]any, error) {
	cipher, err := r.cipher(ctx, tx, v)
	if err != nil {
		return nil, err
	}
	at := r.t.keyAt(v)
	args := at.params(tx.scope.Tenant)
	tenant, key := tx.Tenant().String(), at.id.String()
	for i := range r.t.cols {
		c := &r.t.cols[i]
		if i == r.t.tenant || c.key != "" {
			continue
		}
		a, err := r.t.bind(c, v, cipher, tenant, key)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.name, err)
		}
		args = append(args, a)
	}
	return r.bindIndexes(ctx, tx, v, args)
}

// bind gives the parameter of one column.
func (t *table) bind(c *column, v reflect.Value, cipher *field.Cipher, tenant, key string) (any, error) {
	if !c.sealed() {
		return argument(v.Field(c.field))
	}
	s := sealable(v, c)
	if s.IsNull() {
		return nil, nil //nolint:nilnil // NULL
	}
	if cipher != nil { // nil: the subject was erased, and nothing is fresh
		if err := s.Seal(cipher, t.scope(c, tenant, key)); err != nil {
			return nil, err
		}
	}
	return s.Ciphertext(), nil
}

// cipher gives the key under which the row's fields are sealed; nil where the
// subject was erased and no field holds anything new.
func (r *Repository[T]) cipher(ctx context.Context, tx *Tx, v reflect.Value) (*field.Cipher, error) {
	if !r.t.anySealed(v) {
		return nil, nil //nolint:nilnil // nothing to seal
	}
	subject := r.t.subjectOf(v)
	if subject == uuid.Nil {
		if r.t.subject >= 0 {
			return nil, errors.New("row names no data subject")
		}
		return tx.db.keys.TenantCipher(ctx, tx.scope.Tenant)
	}
	cipher, err := tx.db.keys.CreateCipher(ctx, tx.scope.Tenant, subject)
	if errors.Is(err, keyring.ErrErased) {
		if r.t.anyFresh(v) {
			return nil, ErrErased
		}
		return nil, nil //nolint:nilnil // the old ciphertexts stay
	}
	return cipher, err
}

func (t *table) anyFresh(v reflect.Value) bool {
	for i := range t.cols {
		if c := &t.cols[i]; c.sealed() && sealable(v, c).Fresh() {
			return true
		}
	}
	return false
}

// bindIndexes appends the blind index of each indexed column.
func (r *Repository[T]) bindIndexes(ctx context.Context, tx *Tx, v reflect.Value, args []any) ([]any, error) {
	for i := range r.t.cols {
		c := &r.t.cols[i]
		if c.index == nil {
			continue
		}
		text, ok, err := sealable(v, c).IndexText()
		if errors.Is(err, field.ErrErased) || err == nil && !ok {
			args = append(args, nil)
			continue
		}
		if err != nil {
			return nil, err
		}
		x, err := tx.indexes(ctx, r.t, c)
		if err != nil {
			return nil, err
		}
		args = append(args, x[0].Sum(text))
	}
	return args, nil
}

package tenancy_test

import (
	"context"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// step is told of each statement and each call of the keystore, before it and
// after it.
type step func(what string)

// watched is an engine that tells its steps.
type watched struct {
	engine.Engine

	step step
}

func (w watched) Begin(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	tx, err := w.Engine.Begin(ctx, s)
	if err != nil {
		return nil, err
	}
	return &watchedTx{tx, w.step}, nil
}

type watchedTx struct {
	engine.Tx

	step step
}

func (t *watchedTx) Run(ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error) (int64, error) {
	t.step("before " + s.SQL)
	n, err := t.Tx.Run(ctx, s, end, row)
	t.step("after " + s.SQL)
	return n, err
}

func (t *watchedTx) Commit(ctx context.Context) error {
	t.step("before commit")
	err := t.Tx.Commit(ctx)
	t.step("after commit")
	return err
}

// watchedStore is a keystore that tells its steps.
type watchedStore struct {
	tenancytest.Keystore
	keyring.Rotator
	keyring.Destroyer

	step step
}

func watchStore(s tenancytest.Keystore, step step) watchedStore {
	rotator, _ := s.(keyring.Rotator)
	destroyer, _ := s.(keyring.Destroyer)
	return watchedStore{s, rotator, destroyer, step}
}

func (s watchedStore) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	s.step("before Get")
	r, err := s.Keystore.Get(ctx, tenant, names)
	s.step("after Get")
	return r, err
}

func (s watchedStore) Page(ctx context.Context, tenant uuid.UUID, prefix, after string, limit int) ([]keyring.Record, string, error) {
	s.step("before Page")
	r, next, err := s.Rotator.Page(ctx, tenant, prefix, after, limit)
	s.step("after Page")
	return r, next, err
}

// watch gives a second handle on the instance's database that tells its steps.
func (i *instance) watch(schema tenancy.Schema, step step) (*tenancy.DB, error) {
	return tenancy.New(watched{i.db.Engine(engine.Library), step}, schema, i.keys, i.log, nil)
}

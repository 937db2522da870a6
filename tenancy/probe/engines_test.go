package probe_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// plainTx is a transaction of callers' text on a driver that guards nothing.
type plainTx struct {
	engine.SQLTx

	tx      *sqlx.Tx
	commits bool // it commits where it should roll back
}

func (t *plainTx) SQLX() *sqlx.Tx { return t.tx }

func (t *plainTx) Commit(context.Context) error { return t.tx.Commit() }

func (t *plainTx) Rollback(context.Context) error {
	if t.commits {
		return t.tx.Commit()
	}
	_ = t.tx.Rollback() // the text may have ended it
	return nil
}

// usual is the engine with callers' text on the usual driver: prepared names that
// stay, one connection, nothing cleared and no text refused.
type usual struct {
	engine.Engine

	db   *sqlx.DB
	mint func(tenant uuid.UUID) string
}

func (e *usual) BeginSQL(ctx context.Context, s engine.Scope) (engine.SQLTx, error) {
	tx, err := e.db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err = tx.ExecContext(ctx, "SELECT set_config('art32.ctx', $1, true)", e.mint(s.Tenant)); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return &plainTx{tx: tx}, nil
}

// usualDriver puts callers' text on the usual driver, under a key of the seal that it
// adds.
func usualDriver(tb testing.TB, w *tenancytest.World) *tenancy.DB {
	tb.Helper()
	key := []byte(strings.Repeat("k", 64))
	ipad, opad := make([]byte, 64), make([]byte, 64)
	for i, b := range key {
		ipad[i], opad[i] = b^0x36, b^0x5c
	}
	_, err := w.Raw(tb, w.A).ExecContext(tb.Context(), "INSERT INTO art32.seal_keys (id, ipad, opad) VALUES (77, $1, $2)", ipad, opad)
	must(tb, err)
	config, err := pgx.ParseConfig(w.Logins.App)
	must(tb, err)
	e := &usual{Engine: w.DB.Engine(engine.Library), db: sqlx.NewDb(stdlib.OpenDB(*config), "pgx")}
	e.db.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = e.db.Close() })
	e.mint = func(tenant uuid.UUID) string {
		text := fmt.Sprintf("77.%s.service:probe..%d", tenant, time.Now().Add(time.Minute).Unix())
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return text + "." + hex.EncodeToString(h.Sum(nil))
	}
	return on(tb, w, e)
}

// unguarded is the engine with callers' text on plain connections to the files.
type unguarded struct {
	engine.Engine

	file    func(tenant uuid.UUID) string
	commits bool
}

func (e *unguarded) BeginSQL(ctx context.Context, s engine.Scope) (engine.SQLTx, error) {
	db, err := sqlx.Open("sqlite", e.file(s.Tenant)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &closing{plainTx{tx: tx, commits: e.commits}, db}, nil
}

// closing closes the connection with the transaction.
type closing struct {
	plainTx

	db *sqlx.DB
}

func (t *closing) Rollback(ctx context.Context) error {
	return errors.Join(t.plainTx.Rollback(ctx), t.db.Close())
}

func files(w *tenancytest.World) func(uuid.UUID) string {
	return func(id uuid.UUID) string { return filepath.Join(w.Dir, "tenants", id.String()+".db") }
}

func unguardedFiles(tb testing.TB, w *tenancytest.World) *tenancy.DB {
	tb.Helper()
	return on(tb, w, &unguarded{Engine: w.DB.Engine(engine.Library), file: files(w)})
}

// otherFile runs callers' text of A on the file of B, and keeps what it did.
func otherFile(tb testing.TB, w *tenancytest.World) *tenancy.DB {
	tb.Helper()
	file := func(uuid.UUID) string { return files(w)(w.B.UUID()) }
	return on(tb, w, &unguarded{Engine: w.DB.Engine(engine.Library), file: file, commits: true})
}

// bent changes the statements of the library on their way.
type bent struct {
	engine.Engine

	bend func(engine.Stmt) engine.Stmt
	then func(engine.Stmt)
}

type bentTx struct {
	engine.Tx

	e *bent
}

func (e *bent) Begin(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	tx, err := e.Engine.Begin(ctx, s)
	return &bentTx{tx, e}, err
}

func (t *bentTx) Run(ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error) (int64, error) {
	n, err := t.Tx.Run(ctx, t.e.bend(s), end, row)
	if t.e.then != nil {
		t.e.then(s)
	}
	return n, err
}

func (e *bent) Dialect() migrate.Dialect { return e.Engine.Dialect() }

// oldServer says that it is a release with a published fault.
func oldServer(tb testing.TB, w *tenancytest.World) *tenancy.DB {
	tb.Helper()
	return on(tb, w, &bent{Engine: w.DB.Engine(engine.Library), bend: func(s engine.Stmt) engine.Stmt {
		if strings.Contains(s.SQL, "server_version_num") {
			s.SQL = "SELECT '15.13', '150013'"
		}
		return s
	}})
}

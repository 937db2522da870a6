package postgres_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// admin is a superuser's handle on the world's database, for what an attack
// needs around it and for the attack without the defence.
func (w *world) admin(tb testing.TB) *sqlx.DB {
	tb.Helper()
	db, err := sqlx.Open("pgx", w.owner)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// narrow reopens the world on one connection per login, so that whoever comes
// next meets what the one before left.
func (w *world) narrow(tb testing.TB) {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), w.logins, schema, w.keys, trace{}, &postgres.Options{MaxConns: 1})
	if err != nil {
		tb.Fatal(err)
	}
	w.db = db
	tb.Cleanup(func() { _ = db.Close() })
}

// raw runs one statement of the caller's in a transaction of its own.
func (w *world) raw(ctx context.Context, query string, args ...any) error {
	return w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, query, args...)
		return err
	})
}

// seen counts customers by raw SQL.
func (w *world) seen(ctx context.Context) (n int, err error) {
	err = w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers")
	})
	return n, err
}

// insert adds a customer and returns it.
func (w *world) insert(ctx context.Context, tb testing.TB, name string) *customer {
	tb.Helper()
	c := newCustomer(name+"@example.org", name)
	if err := customers.Insert(ctx, w.db, c); err != nil {
		tb.Fatal(err)
	}
	return c
}

func tenantOf(tb testing.TB, ctx context.Context) tenancy.ID { //nolint:revive // tb first, as in the others
	tb.Helper()
	id, err := tenancy.TenantFrom(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// event is a row of the recorder.
type event struct {
	Action  string
	Outcome tenancy.Outcome
	Detail  string
}

// events lists what was recorded for the tenant of ctx.
func (w *world) events(ctx context.Context, tb testing.TB) []event {
	tb.Helper()
	var all []event
	if err := w.admin(tb).Select(&all, "SELECT action, outcome, detail FROM trace WHERE tenant_id = $1", tenantOf(tb, ctx)); err != nil {
		tb.Fatal(err)
	}
	return all
}

// recorded counts the events of an action with an outcome.
func (w *world) recorded(ctx context.Context, tb testing.TB, action string, outcome tenancy.Outcome) (n int) {
	tb.Helper()
	for _, e := range w.events(ctx, tb) {
		if e.Action == action && e.Outcome == outcome {
			n++
		}
	}
	return n
}

// sealKey is a key of the sealed context, and mint a second writing of its
// format (RFC 2104 over the text before the last dot).
type sealKey struct {
	id  int
	key []byte
}

// knownKey puts a key that the test knows beside the library's.
func (w *world) knownKey(tb testing.TB) sealKey {
	tb.Helper()
	k := sealKey{id: 77, key: []byte(strings.Repeat("k", 64))}
	ipad, opad := make([]byte, 64), make([]byte, 64)
	for i, b := range k.key {
		ipad[i], opad[i] = b^0x36, b^0x5c
	}
	w.admin(tb).MustExec("INSERT INTO art32.seal_keys (id, ipad, opad) VALUES ($1, $2, $3)", k.id, ipad, opad)
	return k
}

func (k sealKey) mint(tenant, actor string, expires time.Time) string {
	return k.sign(fmt.Sprintf("%d.%s.%s.%s.%d", k.id, tenant, actor, "s", expires.Unix()))
}

func (k sealKey) sign(text string) string {
	h := hmac.New(sha256.New, k.key)
	h.Write([]byte(text))
	return text + "." + hex.EncodeToString(h.Sum(nil))
}

// actors of the tests.
var someone = tenancy.Person(uuid.MustParse("8d0f7d0e-6c7e-4f6a-9e0e-3f5b3a1c2d4e"))

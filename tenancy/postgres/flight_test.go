package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// TestClearingTravelsWithTheEnd: what clears a connection is sent before the sync that
// ends the transaction, since a pooler passes the connection on with its answer; and
// what nothing could clear behind a COMMIT that fails is sent before it.
func TestClearingTravelsWithTheEnd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	k := newKnife(t, host(t, w.owner))
	before := []string{"P SET statement_timeout = 0", "P DEALLOCATE ALL", "P DISCARD SEQUENCES", "P SELECT pg_catalog.pg_advisory_unlock_all()"}
	for name, c := range map[string]struct {
		dsn  func(string) string
		fail bool
		want []string
	}{
		"commit":                    {func(dsn string) string { return dsn }, false, []string{"P COMMIT", "P DISCARD ALL", "S"}},
		"commit, behind a pooler":   {told, false, append(slices.Clone(before), "P COMMIT", "P DISCARD ALL", "S")},
		"rollback":                  {func(dsn string) string { return dsn }, true, []string{"P ROLLBACK", "P DISCARD ALL", "S"}},
		"rollback, behind a pooler": {told, true, []string{"P ROLLBACK", "P DISCARD ALL", "S"}},
	} {
		logins := postgres.Logins{Library: w.logins.Library, App: c.dsn(dbtest.At(t, w.logins.App, k.addr))}
		db, err := postgres.Open(t.Context(), logins, schema, w.keys, trace{}, nil)
		must(t, err)
		_ = db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "SELECT 1")
			must(t, err)
			k.arm(toServer, 1<<20)
			if c.fail {
				return errStop
			}
			return nil
		})
		got := slices.DeleteFunc(k.flight(), func(m string) bool { return !strings.HasPrefix(m, "P ") && m != "S" })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: sent %q, want %q", name, got, c.want)
		}
		must(t, db.Close())
	}
}

// TestNoTimeLimitAtTheEnd: what the library has to write at the commit is not under the
// limit that the caller set for his statements, so that it cannot fail by that alone.
func TestNoTimeLimitAtTheEnd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t)
	w.insert(w.a, t, "Anton")
	k := newKnife(t, host(t, w.owner))
	logins := postgres.Logins{Library: w.logins.Library, App: dbtest.At(t, w.logins.App, k.addr)}
	db, err := postgres.Open(t.Context(), logins, schema, w.keys, trace{}, nil)
	must(t, err)
	must(t, db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET visits = 1")
		must(t, err)
		k.arm(toServer, 1<<20)
		return nil
	}))
	sent := slices.DeleteFunc(k.flight(), func(m string) bool { return !strings.HasPrefix(m, "P ") })
	if len(sent) < 3 || sent[0] != "P SET LOCAL statement_timeout = 0" || !strings.Contains(sent[1], "INTO public.trace") {
		t.Errorf("sent %q", sent)
	}
	must(t, db.Close())
}

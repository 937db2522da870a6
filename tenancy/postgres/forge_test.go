package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// The usual design, a setting that names the tenant, falls to one statement.
func TestPlainSettingIsForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := tenantOf(t, w.a), tenantOf(t, w.b)
	db := w.admin(t)
	db.MustExec("CREATE SCHEMA usual; CREATE TABLE usual.notes (tenant_id uuid, text text); GRANT USAGE ON SCHEMA usual TO art32_app; GRANT SELECT ON usual.notes TO art32_app")
	db.MustExec(`ALTER TABLE usual.notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY tenant ON usual.notes USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)`)
	db.MustExec("INSERT INTO usual.notes VALUES ($1, 'of B')", b)
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec("SET LOCAL ROLE art32_app")
	tx.MustExec("SELECT set_config('app.tenant', $1, true)", a)
	var before, after int
	if err := errors.Join(
		tx.Get(&before, "SELECT count(*) FROM usual.notes"),
		tx.Get(&after, "SELECT count(*) FROM usual.notes, set_config('app.tenant', $1, true)", b),
		tx.Get(&after, "SELECT count(*) FROM usual.notes"),
	); err != nil {
		t.Fatal(err)
	}
	if before != 0 || after != 1 {
		t.Errorf("undefended: A sees %d of B's rows, after the forgery %d; want 0 and 1", before, after)
	}
}

// own gives the token of a transaction, as its own SQL may read it.
func own(ctx context.Context, t *testing.T, tx *tenancy.SQLTx) string {
	t.Helper()
	var token string
	if err := tx.SQLX().GetContext(ctx, &token, "SELECT current_setting('art32.ctx')"); err != nil {
		t.Fatal(err)
	}
	return token
}

func TestForgedContext(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.b, t, "Berta")
	k := w.knownKey(t)
	a, b := tenantOf(t, w.a).String(), tenantOf(t, w.b).String()
	soon := time.Now().Add(30 * time.Second)

	// What the test mints is what the database takes, so that the forgeries
	// fail for what is wrong with them.
	good := k.mint(b, "service:test", soon)
	if n, err := w.under(w.a, good, "SELECT count(*) FROM customers"); err != nil || n != 1 {
		t.Fatalf("a context under a known key: %d rows, %v; want 1", n, err)
	}

	swap := func(token string, part int, with string) string {
		parts := strings.Split(token, ".")
		parts[part] = with
		return strings.Join(parts, ".")
	}
	guessed := sealKey{id: k.id, key: []byte(strings.Repeat("x", 64))}
	forgeries := map[string]func(own string) string{
		"tenant of the own token":   func(own string) string { return swap(own, 1, b) },
		"actor of the own token":    func(own string) string { return swap(own, 2, someone.String()) },
		"session of the own token":  func(own string) string { return swap(own, 3, "other") },
		"longer life":               func(own string) string { return swap(own, 4, "99999999999") },
		"guessed key":               func(string) string { return guessed.mint(b, "service:test", soon) },
		"unknown key":               func(string) string { return swap(good, 0, "999") },
		"no key":                    func(string) string { return swap(good, 0, "") },
		"the other key":             func(string) string { return swap(good, 0, "1") },
		"expired":                   func(string) string { return k.mint(b, "service:test", time.Now().Add(-time.Second)) },
		"truncated mac":             func(string) string { return good[:len(good)-1] },
		"mac of no length":          func(string) string { return good[:len(good)-64] },
		"extended mac":              func(string) string { return good + "0" },
		"mac in upper case":         func(string) string { return swap(good, 5, strings.ToUpper(strings.Split(good, ".")[5])) },
		"a part more":               func(string) string { return good + "." },
		"a signed part more":        func(string) string { return k.sign(good) },
		"a part less":               func(string) string { return k.sign("77." + b + ".service:test.9999999999") },
		"expiry is no number":       func(string) string { return k.sign("77." + b + ".service:test.s.soon") },
		"tenant only":               func(string) string { return b },
		"tenant and a comment":      func(own string) string { return own + "--" + b },
		"blank before":              func(string) string { return " " + good },
		"dots":                      func(string) string { return "....." },
		"quote":                     func(string) string { return "'" },
		"the mac over another text": func(string) string { return swap(k.mint(a, "service:test", soon), 1, b) },
	}
	for name, forge := range forgeries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-8.1")
			for _, local := range []string{"true", "false"} {
				w.forged(t, forge, local)
			}
		})
	}
}

// forged tries a context for reading, writing and as the library's verbs see it.
func (w *world) forged(t *testing.T, forge func(string) string, local string) {
	t.Helper()
	for _, try := range []string{
		"SELECT count(*) FROM customers",
		"UPDATE customers SET plan = 'stolen'",
		"DELETE FROM customers",
		"INSERT INTO customers (tenant_id, id, city, plan) VALUES ('" + tenantOf(t, w.b).String() + "', gen_random_uuid(), '', '')",
		"INSERT INTO customers (tenant_id, id, city, plan) VALUES ('" + tenantOf(t, w.a).String() + "', gen_random_uuid(), '', '')",
	} {
		var token string
		err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			token = forge(own(ctx, t, tx))
			if _, err := tx.SQLX().ExecContext(ctx, "SELECT set_config('art32.ctx', $1, "+local+")", token); err != nil {
				return err
			}
			_, err := tx.SQLX().ExecContext(ctx, try)
			return err
		})
		if !errors.Is(err, tenancy.ErrForbidden) && !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("%s: %v, want ErrForbidden", try, err)
		}
		if err != nil && len(token) > 10 && strings.Contains(err.Error(), token[:len(token)-1]) {
			t.Errorf("%s: the error shows the token: %v", try, err)
		}
	}
	if n, err := w.seen(w.b); err != nil || n != 1 {
		t.Errorf("B sees %d of its rows, %v; want 1", n, err)
	}
}

// under counts by raw SQL under a token.
func (w *world) under(ctx context.Context, token, query string) (n int, err error) {
	err = w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if _, err := tx.SQLX().ExecContext(ctx, "SELECT set_config('art32.ctx', $1, true)", token); err != nil {
			return err
		}
		return tx.SQLX().GetContext(ctx, &n, query)
	})
	return n, err
}

// Taking the context away, or naming another tenant where the library login
// would look, shows nothing.
func TestContextRemoved(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "Anton")
	w.insert(w.b, t, "Berta")
	b := tenantOf(t, w.b).String()
	for _, c := range []struct {
		text string
		want int
	}{
		{"SELECT set_config('art32.ctx', '', true)", 0},
		{"SET art32.ctx = ''", 0},
		{"SET LOCAL art32.ctx TO DEFAULT", 0},
		{"RESET art32.ctx", 0},
		{"RESET ALL", 0},
		{"SELECT set_config('art32.tenant', '" + b + "', true)", 1},
		{"SET art32.tenant = '" + b + "'", 1},
		{"SET LOCAL art32.tenant = '" + b + "'", 1},
	} {
		var n, foreign int
		err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, c.text)
			return errors.Join(err, tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers"),
				tx.SQLX().GetContext(ctx, &foreign, "SELECT count(*) FROM customers WHERE tenant_id = $1", b))
		})
		if err != nil || n != c.want || foreign != 0 {
			t.Errorf("%s: %d rows, %d of B, %v; want %d and 0", c.text, n, foreign, err, c.want)
		}
	}
}

// A's valid token shows A's rows to whoever carries it, and never B's.
func TestReplayedToken(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.b, t, "Berta")
	mine := w.insert(w.a, t, "Anton")
	var token string
	if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		token = own(ctx, t, tx)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if _, err := tx.SQLX().ExecContext(ctx, "SELECT set_config('art32.ctx', $1, true)", token); err != nil {
			return err
		}
		var ids []uuid.UUID
		if err := tx.SQLX().SelectContext(ctx, &ids, "SELECT id FROM customers"); err != nil {
			return err
		}
		if len(ids) != 1 || ids[0] != mine.ID {
			t.Errorf("under A's token: %v, want A's row", ids)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := w.under(w.b, token, "SELECT count(*) FROM customers WHERE tenant_id = '"+tenantOf(t, w.b).String()+"'"); err != nil || n != 0 {
		t.Errorf("B's rows under A's token: %d, %v; want 0", n, err)
	}
}

// Each transaction of callers' text carries its own actor and session.
func TestContextCarriesActor(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	ctx := tenancy.WithSession(tenancy.WithActor(w.a, someone), "s-1")
	err := w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var actor, session string
		if err := tx.SQLX().QueryRowContext(ctx, "SELECT actor, session FROM art32.ctx").Scan(&actor, &session); err != nil {
			return err
		}
		if actor != someone.String() || session != "s-1" {
			t.Errorf("actor %q, session %q", actor, session)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

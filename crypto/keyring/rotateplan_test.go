package keyring_test

import (
	"database/sql"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// TestPlans: a statement about many keys looks each of them up and does not go
// through the tenant's keys for each, whose cost would grow with their square.
// Nobody has analyzed the tables.
func TestPlans(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		const people, given = 1500, 600
		store := keyring.SQLStore(db, d)
		r := newRing(t, newRoot(t), store, quick)
		noError(t, r.CreateTenant(t.Context(), acme))
		value(r.CreateCiphers(t.Context(), acme, subjects(people)))(t)
		value(r.Rotate(t.Context(), acme, keyring.SubjectKeys, time.Now(), nil))(t)
		const rows = 2*people + 4 // and KEK, index and data key, check value
		for _, state := range []keyring.State{keyring.Retired, keyring.Active, keyring.Erased} {
			var records []keyring.Record
			for _, list := range versions(t, store, acme) {
				for _, rec := range list {
					if (rec.State == state || state == keyring.Erased) && len(records) < given {
						records = append(records, rec)
					}
				}
			}
			if state == keyring.Erased {
				noError(t, store.Shred(t.Context(), acme, "tenant", time.Now())) // only then is there something to clear
			}
			for name, s := range value(keyring.StatementsOn(store, acme, records))(t) {
				if d == migrate.SQLite {
					looksUp(t, db, name, s)
				} else if n := touched(t, db, s); n > 12*rows {
					t.Errorf("%s of %s keys: the nodes of the plan went through %d rows; there are %d in the table", name, state, n, rows)
				}
			}
		}
	})
}

// goesThrough matches a step of SQLite's that reads more keys than one for each
// of given: the table, or all keys of the tenant.
var goesThrough = regexp.MustCompile(`^(SCAN (art32_keys|k|e|b|l|w)\b|SEARCH .*\(tenant_id=\?\))`)

// once matches steps that are taken for each KEK, or once.
var once = regexp.MustCompile(`^SEARCH w `)

func looksUp(t *testing.T, db *sql.DB, name string, s keyring.Statement) {
	t.Helper()
	rows := value(db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Text, s.Args...))(t)
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int64
		var step string
		noError(t, rows.Scan(&id, &parent, &unused, &step))
		if goesThrough.MatchString(step) && !once.MatchString(step) {
			t.Errorf("%s: %s", name, step)
		}
	}
	noError(t, rows.Err())
}

// node is one of a plan of PostgreSQL's that was run.
type node struct {
	Rows     float64 `json:"Actual Rows"` // of each loop
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Joined   float64 `json:"Rows Removed by Join Filter"`
	Plans    []node
}

// touched counts the rows that went through the nodes of a plan, also those that
// a filter took out.
func touched(t *testing.T, db *sql.DB, s keyring.Statement) int64 {
	t.Helper()
	tx := value(db.BeginTx(t.Context(), nil))(t)
	defer func() { _ = tx.Rollback() }()
	var text []byte
	noError(t, tx.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+s.Text, s.Args...).Scan(&text))
	var plans []struct{ Plan node }
	noError(t, json.Unmarshal(text, &plans))
	return plans[0].Plan.touched()
}

func (n node) touched() int64 {
	sum := int64((n.Rows + n.Filtered + n.Joined) * n.Loops)
	for _, p := range n.Plans {
		sum += p.touched()
	}
	return sum
}

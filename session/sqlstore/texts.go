package sqlstore

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/session"
)

// texts are the statements in one dialect.
type texts struct {
	dialect migrate.Dialect
	table   string

	insert, lookup, rotate, touch, list, purge string
}

func textsOf(d migrate.Dialect) texts {
	const columns = "id, tenant_id, user_id, created_at, last_seen, authenticated_at"
	table := engine.Table(d, "sessions")
	return texts{
		dialect: d, table: table,
		insert: "INSERT INTO " + table + " (id, hash, tenant_id, user_id, created_at, last_seen, authenticated_at)" +
			" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		lookup: "SELECT " + columns + ", hash, COALESCE(revoked_at, 0), reason FROM " + table + " WHERE hash = $1",
		rotate: "UPDATE " + table + " SET hash = $1, authenticated_at = $2 WHERE id = $3 AND hash = $4 AND revoked_at IS NULL",
		touch:  "UPDATE " + table + " SET last_seen = $1 WHERE id = $2 AND revoked_at IS NULL AND last_seen < $1",
		list:   "SELECT " + columns + " FROM " + table + " WHERE ",
		purge:  purgeText(d, table),
	}
}

// purgeText deletes a batch. On PostgreSQL it waits for nobody's row: what is
// locked is deleted the next time.
func purgeText(d migrate.Dialect, table string) string {
	some := "SELECT id FROM " + table + " WHERE created_at < $1 ORDER BY created_at LIMIT " + strconv.Itoa(purgeBatch)
	if d == migrate.SQLite {
		return "DELETE FROM " + table + " WHERE id IN (" + some + ")"
	}
	return "DELETE FROM " + table + " WHERE id = ANY (ARRAY(" + some + " FOR UPDATE SKIP LOCKED))"
}

// revoke takes the rows in the order in which Touch does.
func (t texts) revoke(where string) string {
	const set = " SET revoked_at = $1, reason = $2 WHERE "
	if t.dialect == migrate.SQLite {
		return "UPDATE " + t.table + set + where + " RETURNING id"
	}
	return "UPDATE " + t.table + set + "revoked_at IS NULL AND id IN (SELECT id FROM " + t.table +
		" WHERE " + where + " ORDER BY id FOR UPDATE) RETURNING id"
}

// chosen is the condition for the sessions that sel chooses and that are not
// revoked, with parameters from number first on; "" for a kind that is unknown.
func (t texts) chosen(sel session.Selector, first int) (where string, args []any) {
	one, two := "$"+strconv.Itoa(first), "$"+strconv.Itoa(first+1)
	switch sel.Kind() {
	case session.KindID:
		where, args = t.oneOf(one, sel.IDs())
	case session.KindUser:
		where, args = "tenant_id = "+one+" AND user_id = "+two, []any{sel.Tenant().UUID(), sel.User()}
	case session.KindTenant:
		where, args = "tenant_id = "+one, []any{sel.Tenant().UUID()}
	default:
		return "", nil
	}
	return where + " AND revoked_at IS NULL", args
}

// oneOf has one text for any number of ids: they travel as one parameter.
func (t texts) oneOf(mark string, ids []uuid.UUID) (where string, args []any) {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	if t.dialect == migrate.SQLite {
		return "id IN (SELECT value FROM json_each(" + mark + "))", []any{`["` + strings.Join(words, `","`) + `"]`}
	}
	return "id = ANY (" + mark + "::uuid[])", []any{"{" + strings.Join(words, ",") + "}"}
}

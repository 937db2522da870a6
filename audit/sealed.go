package audit

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

var _ tenancy.SealedCounter = (*Log)(nil)

// CountSealed implements [tenancy.SealedCounter]: it counts the parts of payloads
// by the key that they lie under. They can never be sealed anew, since the tree
// holds digests of their ciphertexts, so that a version that one of them names
// stays as long as the part does. With subjects it holds off all writers of the
// log until tx ends.
func (l *Log) CountSealed(
	ctx context.Context, tx *tenancy.Tx, subjects []uuid.UUID, add func(subject uuid.UUID, version uint32, n int),
) error {
	t := tx.Engine(engine.Library)
	if t.Role() != engine.RoleLibrary {
		return ErrRole
	}
	d := t.Dialect()
	if subjects != nil && d == migrate.Postgres {
		lock := engine.Stmt{SQL: "LOCK TABLE art32.event_parts IN SHARE MODE"}
		if _, err := t.Run(ctx, lock, engine.Continue, nil); err != nil {
			return dbError("wait for writers", err)
		}
	}
	_, err := t.Run(ctx, countParts(d, tx.Tenant().UUID(), subjects), engine.Continue, func(r engine.Row) error {
		var subject string
		var first []byte
		var n int
		if err := r.Scan(&subject, &first, &n); err != nil {
			return err
		}
		if version, ok := partVersion(first); ok {
			add(parseID(subject), version, n)
		}
		return nil
	})
	return dbError("count parts of payloads", err)
}

// The first bytes of a ciphertext, which name format and version.
const versionBytes = 5

// partVersion reads the version from the first bytes of a part that is long
// enough.
func partVersion(first []byte) (uint32, bool) {
	if len(first) != versionBytes {
		return 0, false
	}
	return field.KeyVersion(append(first, make([]byte, field.Overhead-versionBytes)...))
}

// countParts counts the encrypted parts.
func countParts(d migrate.Dialect, tenant uuid.UUID, subjects []uuid.UUID) engine.Stmt {
	first, length := "substring(p.ciphertext FROM 1 FOR 5)", "octet_length(p.ciphertext)"
	if d == migrate.SQLite {
		first, length = "substr(p.ciphertext, 1, 5)", "length(p.ciphertext)"
	}
	s := engine.Stmt{
		SQL: "SELECT COALESCE(CAST(p.subject AS TEXT), ''), " + first + ", count(*) FROM " + engine.Table(d, "event_parts") + " p" +
			" WHERE p.tenant_id = $1 AND " + length + " >= $2",
		Args: []any{tenant, int64(field.Overhead)},
	}
	if subjects == nil {
		s.SQL += " AND NOT EXISTS (SELECT 1 FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = p.tenant_id" +
			" AND e.id = p.event_id AND e.action IN " + clearActions + ")"
	} else {
		s.SQL += " AND p.subject " + amongIDs(d, 3)
		s.Args = append(s.Args, listIDs(d, subjects))
	}
	s.SQL += " GROUP BY 1, 2"
	return s
}

// amongIDs is true for the ids in parameter n, which listIDs has written.
func amongIDs(d migrate.Dialect, n int) string {
	p := "$" + strconv.Itoa(n)
	if d == migrate.SQLite {
		return "IN (SELECT value FROM json_each(" + p + "))"
	}
	return "= ANY(" + p + ")"
}

func listIDs(d migrate.Dialect, ids []uuid.UUID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
		if d == migrate.SQLite {
			texts[i] = `"` + texts[i] + `"`
		}
	}
	if d == migrate.SQLite {
		return "[" + strings.Join(texts, ",") + "]"
	}
	return "{" + strings.Join(texts, ",") + "}"
}

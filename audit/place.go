package audit

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// headStmt moves the log's size from the one that was read, or makes the log.
// A second sealer finds another size, the log made, or that it has ended, and
// changes nothing.
func (b *batch) headStmt(d migrate.Dialect, tenant uuid.UUID, g *grown, now int64) engine.Stmt {
	table := engine.Table(d, "logs")
	if b.fresh {
		return engine.Stmt{
			SQL: "INSERT INTO " + table + " (id, tenant_id, shard, base, origin, vkey, size, root, created_at)" +
				" VALUES ($1, $2, 0, 0, $3, $4, $5, $6, $7)",
			Args: []any{b.head.id, tenant, b.head.origin, b.head.vkey, g.size, g.root[:], now},
		}
	}
	return engine.Stmt{
		SQL:  "UPDATE " + table + " SET size = $1, root = $2 WHERE tenant_id = $3 AND id = $4 AND size = $5 AND ended_at IS NULL",
		Args: []any{g.size, g.root[:], tenant, b.head.id, b.head.size}, Rows: 1,
	}
}

// placeStmts number the events in the order of seqs, beginning with first. On
// SQLite, where a file holds one tenant, seqs follow each other in few runs, and
// a statement per run is the fastest; PostgreSQL takes them all in one.
func placeStmts(d migrate.Dialect, tenant uuid.UUID, first int64, seqs []int64) []engine.Stmt {
	if d == migrate.Postgres {
		return []engine.Stmt{{
			SQL: "UPDATE art32.events e SET leaf = $1::bigint + o.n - 1" +
				" FROM unnest(string_to_array($2, ',')::bigint[]) WITH ORDINALITY AS o(seq, n)" +
				" WHERE e.tenant_id = $3 AND e.seq = o.seq AND e.leaf IS NULL",
			Args: []any{first, list(d, seqs), tenant}, Rows: int64(len(seqs)),
		}}
	}
	var stmts []engine.Stmt
	for len(seqs) > 0 {
		n := int64(1)
		for n < int64(len(seqs)) && seqs[n] == seqs[0]+n {
			n++
		}
		stmts = append(stmts, engine.Stmt{
			SQL: "UPDATE art32_events SET leaf = $1 + seq WHERE seq >= $2 AND seq < $3" +
				" AND tenant_id = $4 AND leaf IS NULL",
			Args: []any{first - seqs[0], seqs[0], seqs[0] + n, tenant}, Rows: n,
		})
		first, seqs = first+n, seqs[n:]
	}
	return stmts
}

// rejectStmt takes events out of the queue for good.
func rejectStmt(d migrate.Dialect, tenant uuid.UUID, seqs []int64) engine.Stmt {
	return engine.Stmt{
		SQL:  "UPDATE " + engine.Table(d, "events") + " SET leaf = -1 WHERE tenant_id = $1 AND leaf IS NULL AND seq IN " + numbers(d),
		Args: []any{tenant, list(d, seqs)}, Rows: int64(len(seqs)),
	}
}

// numbers is a subquery of the numbers in the second parameter, which list has written.
func numbers(d migrate.Dialect) string {
	if d == migrate.SQLite {
		return "(SELECT value FROM json_each($2))"
	}
	return "(SELECT unnest(string_to_array($2, ',')::bigint[]))"
}

// list writes numbers as the text from which the dialect makes rows.
func list(d migrate.Dialect, seqs []int64) string {
	b := make([]byte, 0, 12*len(seqs)+2)
	for i, n := range seqs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	if d == migrate.SQLite {
		return "[" + string(b) + "]"
	}
	return string(b)
}

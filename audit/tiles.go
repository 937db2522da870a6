package audit

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// exportPath is a tile's place in an export: c2sp.org/tlog-tiles leaves out the
// height, and calls the entries "entries".
func exportPath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/"+strconv.Itoa(tileHeight)+"/")
	if entries, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + entries
	}
	return "tile/" + path
}

// widthAt is how many hashes the tile k holds in a tree of the size.
func (k tileKey) widthAt(size int64) int64 {
	return min(max(size>>(tileHeight*k.level)-k.n<<tileHeight, 0), tileWidth)
}

// topLevel is the highest level of tiles in a tree of the size.
func topLevel(size int64) int {
	level := 0
	for size>>(tileHeight*(level+1)) > 0 {
		level++
	}
	return level
}

// tileCount is how many tiles of a level a tree of the size has.
func tileCount(level int, size int64) int64 {
	return (size>>(tileHeight*level) + tileWidth - 1) >> tileHeight
}

// readTiles reads the tiles from first to before last of a level. What is
// missing is absent.
func readTiles(ctx context.Context, db *tenancy.DB, tenant, log uuid.UUID, level int, first, last int64) (map[tileKey][]byte, error) {
	tiles := make(map[tileKey][]byte, last-first)
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT n, data FROM " + engine.Table(d, "tiles") +
			" WHERE tenant_id = $1 AND log_id = $2 AND level = $3 AND n >= $4 AND n < $5",
		Args: []any{tenant, log, int64(level), first, last},
	}, func(r engine.Row) error {
		k := tileKey{level: level}
		var data []byte
		err := r.Scan(&k.n, &data)
		tiles[k] = data
		return err
	})
	return tiles, err
}

// readUpper reads all tiles above level 0: one in 256 of those.
func readUpper(ctx context.Context, db *tenancy.DB, tenant, log uuid.UUID, size int64) (map[tileKey][]byte, error) {
	all := make(map[tileKey][]byte)
	for level := 1; level <= topLevel(size); level++ {
		tiles, err := readTiles(ctx, db, tenant, log, level, 0, tileCount(level, size))
		if err != nil {
			return nil, err
		}
		maps.Copy(all, tiles)
	}
	return all, nil
}

// readCheckpoints reads a log's checkpoints, oldest first, up to the newest that
// there was when h was read.
func readCheckpoints(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, h *head) ([]storedNote, error) {
	var all []storedNote
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT size, note FROM " + engine.Table(d, "checkpoints") +
			" WHERE tenant_id = $1 AND log_id = $2 AND size <= $3 ORDER BY size",
		Args: []any{tenant, h.id, h.newest.size},
	}, func(r engine.Row) error {
		var n storedNote
		err := r.Scan(&n.size, &n.note)
		all = append(all, n)
		return err
	})
	return all, err
}

// readLeaves reads the events that claim the leaves from first to before last
// of a log, in that order. Several may claim one.
func readLeaves(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, h *head, first, last int64) ([]*row, error) {
	var rows []*row
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.leaf >= $2 AND e.leaf < $3 AND e.leaf >= 0 ORDER BY e.leaf, e.seq",
		Args: []any{tenant, h.base + first, h.base + last},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		if err != nil {
			return err
		}
		row.leaf.Log, row.at = h.id, row.at-h.base
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

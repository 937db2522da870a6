package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// writeLog writes what shows whose log this is, then the log.
func (x *exporter) writeLog(ctx context.Context) error {
	if err := x.writeSuccession(); err != nil {
		return err
	}
	if x.dropped {
		return x.file(fileCheckpoint, x.note)
	}
	if err := x.writeOpening(ctx); err != nil {
		return err
	}
	return x.write(ctx)
}

// writeKey writes what shows to which key of the platform another one leads, and
// none of its entries but the first, which names the log before.
func (x *exporter) writeKey(ctx context.Context) error {
	if err := x.writeSuccession(); err != nil {
		return err
	}
	if x.head.succession != "" && !x.dropped {
		first, err := readLeaves(ctx, x.db, x.tenant, x.head, 0, 1)
		if err != nil {
			return err
		}
		if len(first) == 0 {
			return damaged(0)
		}
		first[0].at += x.head.base
		p, err := proveRow(ctx, x.db, x.tenant, x.head, first[0])
		if err != nil {
			return err
		}
		if err := x.file(fileBegin, p); err != nil {
			return err
		}
	}
	return x.file(fileCheckpoint, x.note)
}

func (x *exporter) writeSuccession() error {
	if err := x.file(fileKey, []byte(x.head.vkey+"\n")); err != nil || x.head.succession == "" {
		return err
	}
	return x.file(fileSuccession, []byte(x.head.succession))
}

// writeOpening writes the proof that the platform's log holds that this log was
// opened for its tenant.
func (x *exporter) writeOpening(ctx context.Context) error {
	if x.tenant == uuid.Nil {
		return nil
	}
	p, err := Prove(ctx, x.db, tenancy.ID{}, openingOf(x.tenant, x.head.id))
	if errors.Is(err, ErrNoEntry) {
		return fmt.Errorf("audit: export: the platform's log does not hold that this log was opened: %w", ErrDamaged)
	}
	if err != nil {
		return err
	}
	return x.file(fileOpening, p)
}

// write writes tiles and entries, and the checkpoint that covers them.
func (x *exporter) write(ctx context.Context) error {
	for first := int64(0); first < tileCount(0, x.point.Size); first += exportTiles {
		if err := x.writeEntries(ctx, first, min(first+exportTiles, tileCount(0, x.point.Size))); err != nil {
			return err
		}
	}
	upper, err := readUpper(ctx, x.db, x.tenant, x.head.id, x.point.Size)
	if err != nil {
		return err
	}
	for level := 1; level <= topLevel(x.point.Size); level++ {
		for n := range tileCount(level, x.point.Size) {
			if _, err := x.writeTile(tileKey{level, n}, upper); err != nil {
				return err
			}
		}
	}
	return x.file(fileCheckpoint, x.note)
}

// writeEntries writes tiles of level 0 and their bundles of entries.
func (x *exporter) writeEntries(ctx context.Context, first, last int64) error {
	tiles, err := readTiles(ctx, x.db, x.tenant, x.head.id, 0, first, last)
	if err != nil {
		return err
	}
	end := min(last<<tileHeight, x.point.Size)
	rows, err := readLeaves(ctx, x.db, x.tenant, x.head, first<<tileHeight, end)
	if err != nil {
		return err
	}
	for n := first; n < last; n++ {
		hashes, err := x.writeTile(tileKey{0, n}, tiles)
		if err != nil {
			return err
		}
		if rows, err = x.writeBundle(n, hashes, rows); err != nil {
			return err
		}
	}
	return nil
}

// writeBundle writes the entries of one tile: each after its length as two
// bytes. It returns the rows behind them.
func (x *exporter) writeBundle(n int64, hashes []byte, rows []*row) ([]*row, error) {
	var bundle, leaf []byte
	width := len(hashes) / tlog.HashSize
	for i := range width {
		index := n<<tileHeight + int64(i)
		if len(rows) == 0 || rows[0].at != index {
			return nil, damaged(index)
		}
		var err error
		leaf, err = rows[0].leaf.AppendBinary(leaf[:0])
		if err != nil || rows[0].odd {
			return nil, damaged(index)
		}
		if h := tlog.RecordHash(leaf); !bytes.Equal(h[:], hashes[i*tlog.HashSize:][:tlog.HashSize]) {
			return nil, damaged(index)
		}
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
		bundle = append(bundle, leaf...)
		rows = rows[1:]
	}
	t := tlog.Tile{H: tileHeight, L: -1, N: n, W: width}
	return rows, x.file(exportPath(t), bundle)
}

func damaged(index int64) error {
	return fmt.Errorf("audit: export: entry %d does not match the tree: %w", index, ErrDamaged)
}

// writeTile writes a tile as wide as the checkpoint says, and returns it.
func (x *exporter) writeTile(k tileKey, tiles map[tileKey][]byte) ([]byte, error) {
	width := k.widthAt(x.point.Size)
	data := tiles[k]
	if int64(len(data)) < width*tlog.HashSize {
		return nil, fmt.Errorf("audit: export: %s is cut: %w", k.path(), ErrDamaged)
	}
	data = data[:width*tlog.HashSize]
	return data, x.file(exportPath(tlog.Tile{H: tileHeight, L: k.level, N: k.n, W: int(width)}), data)
}

// file replaces a file as a whole.
func (x *exporter) file(name string, data []byte) error {
	path := filepath.Join(x.dir, filepath.FromSlash(name))
	if held, err := os.ReadFile(path); err == nil && bytes.Equal(held, data) {
		return nil
	}
	if err := writeFile(path, data); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

func writeFile(path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // an export is public
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".art32-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), os.Chmod(f.Name(), 0o644)); err != nil { //nolint:gosec // an export is public
		return err
	}
	return os.Rename(f.Name(), path)
}

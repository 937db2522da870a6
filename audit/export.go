package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// Names of files in an export.
const (
	fileCheckpoint = "checkpoint"
	fileKey        = "log.vkey"
)

// exportTiles is how many tiles of entries are read at once.
const exportTiles = 4

// Export writes the log of a tenant, or with the zero ID the platform's, into
// the folder dir in the form of c2sp.org/tlog-tiles: checkpoint, tile/… and the
// public key as log.vkey. Anybody can verify it with public tools and without
// the database. It holds no payload.
//
// A new folder appears when it is complete. An existing one is brought up to
// date: each file is replaced as a whole, and the checkpoint last, so that the
// old one holds until then. It returns [ErrNoLog] when nothing was sealed yet,
// [ErrOtherLog] when dir holds another or a longer log, and [ErrDamaged] when
// the stored log contradicts itself; nothing is written in the first two cases.
func Export(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, dir string) error {
	x := exporter{db: db, tenant: tenant.UUID(), dir: dir}
	if err := x.open(ctx); err != nil {
		return err
	}
	if err := x.held(); err != nil {
		return err
	}
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return x.write(ctx)
	}
	return x.writeNew(ctx)
}

type exporter struct {
	db     *tenancy.DB
	tenant uuid.UUID
	dir    string
	head   *head
	point  Checkpoint
	note   []byte
}

func (x *exporter) open(ctx context.Context) error {
	h, err := readHead(ctx, x.db, x.tenant)
	if err != nil {
		return err
	}
	if h == nil {
		return ErrNoLog
	}
	if h.newest.size < 0 {
		return fmt.Errorf("audit: export: no checkpoint: %w", ErrDamaged)
	}
	x.head, x.note = h, []byte(h.newest.note)
	if x.point, err = ParseCheckpoint(x.note, h.vkey); err != nil {
		return fmt.Errorf("audit: export: %w: %w", ErrDamaged, err)
	}
	x.note, err = cosigned(ctx, x.db, x.tenant, h.id, h.newest)
	return err
}

// held refuses a folder that holds another log, or more of this one.
func (x *exporter) held() error {
	note, err := os.ReadFile(filepath.Join(x.dir, fileCheckpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return x.empty()
	}
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	old, err := ParseCheckpoint(note, x.head.vkey)
	if err != nil || old.Size > x.point.Size || old.Size == x.point.Size && old.Root != x.point.Root {
		return ErrOtherLog
	}
	return nil
}

// empty refuses a folder that holds something else: it is not ours to fill.
// What an interrupted export left behind is ours.
func (x *exporter) empty() error {
	files, err := os.ReadDir(x.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit: export: %w", err)
	}
	for _, f := range files {
		if f.Name() != "tile" && f.Name() != fileKey && !strings.HasPrefix(f.Name(), ".art32-") {
			return ErrOtherLog
		}
	}
	return nil
}

// writeNew fills a folder beside dir and gives it its name at the end.
func (x *exporter) writeNew(ctx context.Context) error {
	dir := x.dir
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // an export is public
		return fmt.Errorf("audit: export: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".art32-export-")
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	x.dir = tmp
	if err := x.write(ctx); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := errors.Join(os.Chmod(tmp, 0o755), os.Rename(tmp, dir)); err != nil { //nolint:gosec // an export is public
		return errors.Join(fmt.Errorf("audit: export: %w", err), os.RemoveAll(tmp))
	}
	return nil
}

func (x *exporter) write(ctx context.Context) error {
	if err := x.file(fileKey, []byte(x.head.vkey+"\n")); err != nil {
		return err
	}
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

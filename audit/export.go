package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Names of files and folders in an export.
const (
	fileCheckpoint = "checkpoint"
	fileKey        = "log.vkey"
	fileSuccession = "succession"
	fileOpening    = "opening"
	fileBegin      = "begin"
	dirTiles       = "tile"
	dirPlatform    = "platform"
)

// exportTiles is how many tiles of entries are read at once.
const exportTiles = 4

// Export writes the logs of a tenant, or with the zero ID the platform's, into
// the folder dir: one folder for each, named by its number, in the form of
// c2sp.org/tlog-tiles, with what shows whose log it is. docs/formats/audit-log.md
// lists the files. [VerifyExport] checks them without the database, and public
// tools check each folder by itself. They hold no payload.
//
// A new folder appears when it is complete. An existing one is brought up to
// date: each file is replaced as a whole, and the checkpoint of a log last, so
// that the old one holds until then. What a log that was dropped has left there
// stays. It returns [ErrNoLog] when nothing was sealed yet, [ErrOtherLog] when dir
// holds other logs or longer ones, and [ErrDamaged] when what is stored
// contradicts itself; nothing is written in the first two cases.
func Export(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, dir string) error {
	x := &export{db: db, tenant: tenant.UUID()}
	if err := x.open(ctx); err != nil {
		return err
	}
	if err := x.held(dir); err != nil {
		return err
	}
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return x.write(ctx, dir)
	}
	return writeNew(dir, func(tmp string) error { return x.write(ctx, tmp) })
}

// export is what belongs into a folder.
type export struct {
	db       *tenancy.DB
	tenant   uuid.UUID
	logs     []*exporter
	platform []*exporter // without entries; empty in the export of the platform
}

// open fixes up to where each log is exported.
func (x *export) open(ctx context.Context) error {
	var err error
	if x.logs, err = openExporters(ctx, x.db, x.tenant); err != nil {
		return err
	}
	if len(x.logs) == 0 {
		return ErrNoLog
	}
	if x.tenant != uuid.Nil { // after the logs, so that it knows where each was opened
		x.platform, err = openExporters(ctx, x.db, uuid.Nil)
	}
	return err
}

// held refuses a folder that holds other logs, or more of these.
func (x *export) held(dir string) error {
	known := map[string]bool{dirPlatform: x.tenant != uuid.Nil}
	for _, l := range x.logs {
		known[l.name()] = true
		if err := l.held(filepath.Join(dir, l.name())); err != nil {
			return err
		}
	}
	return refuseOthers(dir, known)
}

// write writes the platform's logs first: the openings refer to them.
func (x *export) write(ctx context.Context, dir string) error {
	for _, l := range x.platform {
		if err := l.into(filepath.Join(dir, dirPlatform, l.name()), func() error { return l.writeKey(ctx) }); err != nil {
			return err
		}
	}
	for _, l := range x.logs {
		if err := l.into(filepath.Join(dir, l.name()), func() error { return l.writeLog(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// into has a log written into the folder dir.
func (x *exporter) into(dir string, write func() error) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return writeNew(dir, func(tmp string) error {
			x.dir = tmp
			return write()
		})
	}
	x.dir = dir
	return write()
}

// exporter writes one log into a folder of its own.
type exporter struct {
	db     *tenancy.DB
	tenant uuid.UUID
	dir    string
	head   *head
	point  Checkpoint
	note   []byte
	// dropped says that its entries are gone, or about to go.
	dropped bool
}

// openExporters reads the logs of a tenant with their checkpoints, the oldest
// first.
func openExporters(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) ([]*exporter, error) {
	logs, err := readLogs(ctx, db, tenant)
	if err != nil {
		return nil, err
	}
	drops, err := readDrops(ctx, db, tenant, logs)
	if err != nil {
		return nil, err
	}
	all := make([]*exporter, len(logs))
	for i, h := range logs {
		x := &exporter{db: db, tenant: tenant, head: h, note: []byte(h.newest.note), dropped: drops.covers(h)}
		if h.newest.size < 0 {
			return nil, fmt.Errorf("audit: export: no checkpoint: %w", ErrDamaged)
		}
		if x.point, err = ParseCheckpoint(x.note, h.vkey); err != nil {
			return nil, fmt.Errorf("audit: export: %w: %w", ErrDamaged, err)
		}
		if x.note, err = cosigned(ctx, db, tenant, h.id, h.newest); err != nil {
			return nil, err
		}
		all[i] = x
	}
	return all, nil
}

// name is that of the log's folder.
func (x *exporter) name() string { return strconv.FormatInt(x.head.shard, 10) }

// held refuses a folder that holds another log, or more of this one.
func (x *exporter) held(dir string) error {
	note, err := os.ReadFile(filepath.Join(dir, fileCheckpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return refuseOthers(dir, map[string]bool{
			dirTiles: true, fileKey: true, fileSuccession: true, fileOpening: true, fileBegin: true,
		})
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

// refuseOthers refuses a folder that holds something else: it is not ours to
// fill. What an interrupted export left behind is ours.
func refuseOthers(dir string, known map[string]bool) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit: export: %w", err)
	}
	for _, f := range files {
		if !known[f.Name()] && !strings.HasPrefix(f.Name(), ".art32-") {
			return ErrOtherLog
		}
	}
	return nil
}

// writeNew fills a folder beside dir and gives it its name at the end.
func writeNew(dir string, fill func(tmp string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // an export is public
		return fmt.Errorf("audit: export: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".art32-export-")
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	if err := fill(tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := errors.Join(os.Chmod(tmp, 0o755), os.Rename(tmp, dir)); err != nil { //nolint:gosec // an export is public
		return errors.Join(fmt.Errorf("audit: export: %w", err), os.RemoveAll(tmp))
	}
	return nil
}

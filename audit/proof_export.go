package audit

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/google/uuid"
)

// ProveExported makes the proof that [Prove] makes from the export in the folder
// dir in place of the database. The entry's number counts over all logs of the
// tenant, as [Entry].Index does. It returns [ErrNoEntry] where the export holds no
// such entry, and [ErrDamaged] where the export contradicts itself at that entry;
// whether it does elsewhere is for [VerifyExport] to say.
func ProveExported(dir string, number int64) ([]byte, error) {
	v, done, err := openExport(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: prove: %w", err)
	}
	defer done()
	for _, l := range v.logs {
		if index := number - l.base; l.valid && !l.dropped && index >= 0 && index < l.point.Size {
			return v.prove(l, index)
		}
	}
	return nil, ErrNoEntry
}

// FindExported looks for an event in the export in the folder dir, and returns the
// number under which [ProveExported] proves it. It reads all entries up to the
// event, and returns [ErrNoEntry] where there is none of that id.
func FindExported(ctx context.Context, dir string, event uuid.UUID) (int64, error) {
	v, done, err := openExport(dir)
	if err != nil {
		return 0, fmt.Errorf("audit: find: %w", err)
	}
	defer done()
	for _, l := range v.logs {
		if !l.valid || l.dropped {
			continue
		}
		index, err := v.find(ctx, l, event)
		if err != nil {
			return 0, fmt.Errorf("audit: find: %w", err)
		}
		if index >= 0 {
			return l.base + index, nil
		}
	}
	return 0, ErrNoEntry
}

// openExport reads how the logs of an export follow each other.
func openExport(dir string) (v *exportVerifier, done func(), err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	v = newExportVerifier(&files{root: root}, &ExportOptions{})
	if v.logs, err = v.readChain("."); err == nil && len(v.logs) == 0 {
		err = ErrNoExport
	}
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	return v, func() { _ = root.Close() }, nil
}

// prove proves one entry of a log.
func (v *exportVerifier) prove(l *link, index int64) ([]byte, error) {
	t := v.newFileTiles(l)
	p := &proof{index: index}
	b := t.bundleWith(index>>tileHeight, func(i int, leaf []byte) {
		if int64(i) == index&(tileWidth-1) {
			p.leaf = append([]byte{}, leaf...)
		}
	})
	note, err := v.files.read(in(l.dir, fileCheckpoint), maxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("audit: prove: %w", err)
	}
	if p.checkpoint = note; t.err == nil && !b.missing {
		err = p.prove(l.point, t)
	}
	if t.err != nil {
		return nil, fmt.Errorf("audit: prove: %w", t.err)
	}
	if err != nil || p.leaf == nil {
		return nil, unproven(index)
	}
	return p.text(), nil
}

// find gives the place of an event in a log, -1 where it has none.
func (v *exportVerifier) find(ctx context.Context, l *link, event uuid.UUID) (int64, error) {
	t := &fileTiles{v: v, l: l, size: l.point.Size}
	for n := range tileCount(0, l.point.Size) {
		b := t.bundle(n)
		if t.err != nil || ctx.Err() != nil {
			return 0, cmp.Or(t.err, ctx.Err())
		}
		if b.missing {
			return -1, nil
		}
		for i, e := range b.entries {
			if e.leaf && e.event == event {
				return n<<tileHeight + int64(i), nil
			}
		}
	}
	return -1, nil
}

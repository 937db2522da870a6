package sqlitesource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/filelock"
	"github.com/art32/art32/tenancy"
)

// snapshot copies the files one after the other.
type snapshot struct {
	dir, keys string
	scratch   string // folder of the copy that is under way
	lock      *filelock.Lock
	step      func(string)

	tenants []tenancy.ID // of the platform's file, as last read
	files   []tenancy.ID // those whose file was made
	at      time.Time    // of the platform's copy
}

var (
	_ backup.Snapshot   = (*snapshot)(nil)
	_ backup.Instructor = (*snapshot)(nil)
)

// The tables of the platform that a copy holds without rows.
const (
	sessionTable = "art32_sessions"
	leaseTable   = "art32_leases"
)

// Position implements [backup.Snapshot].
func (v *snapshot) Position() string {
	return platformName + " as of " + v.at.UTC().Format(time.RFC3339Nano)
}

// Tenants implements [backup.Snapshot].
func (v *snapshot) Tenants() []tenancy.ID { return slices.Clone(v.tenants) }

// Excluded implements [backup.Snapshot].
func (v *snapshot) Excluded() []backup.Excluded {
	return []backup.Excluded{
		{Table: sessionTable, Reason: "sessions end with a restore"},
		{Table: leaseTable, Reason: "leases belong to running processes"},
	}
}

// Write implements [backup.Snapshot]. The tenants come first and the platform
// last; where it then names files that are newer, those follow and it is copied
// again.
func (v *snapshot) Write(ctx context.Context, sink backup.Sink) error {
	done := map[tenancy.ID]bool{}
	for {
		for _, t := range v.files {
			if done[t] {
				continue
			}
			if err := v.tenant(ctx, sink, t); err != nil {
				return fmt.Errorf("sqlitesource: tenant %s: %w", t, err)
			}
			done[t] = true
		}
		v.step("tenants")
		path, err := v.platform(ctx)
		if err != nil {
			return fmt.Errorf("sqlitesource: %s: %w", platformName, err)
		}
		if !slices.ContainsFunc(v.files, func(t tenancy.ID) bool { return !done[t] }) {
			return v.hand(ctx, sink, tenancy.ID{}, platformName, path)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("sqlitesource: %w", err)
		}
	}
}

func (v *snapshot) tenant(ctx context.Context, sink backup.Sink, t tenancy.ID) error {
	name := tenantsDir + "/" + t.String() + suffix
	path, err := v.copy(ctx, filepath.Join(v.dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if err := ofTenant(ctx, path, t); err != nil {
		return err
	}
	if err := v.hand(ctx, sink, t, name, path); err != nil {
		return err
	}
	if c, ok := sink.(backup.Completer); ok {
		return c.Complete(ctx, t)
	}
	return nil
}

// platform copies the platform's file and reads the tenants out of the copy.
func (v *snapshot) platform(ctx context.Context) (path string, err error) {
	v.at = time.Now()
	if path, err = v.copy(ctx, filepath.Join(v.dir, platformName)); err != nil {
		return "", err
	}
	if err := empty(ctx, path); err != nil {
		return "", err
	}
	v.tenants, v.files, err = readTenants(ctx, path)
	return path, err
}

// hand gives a copy to the sink, says what it holds and removes it.
func (v *snapshot) hand(ctx context.Context, sink backup.Sink, t tenancy.ID, name, path string) error {
	tables, err := countTables(ctx, path)
	if err != nil {
		return err
	}
	if err := stream(path, func(size int64, r io.Reader) error { return sink.File(ctx, t, name, size, r) }); err != nil {
		return err
	}
	for _, n := range tables {
		sink.Table(t, n)
	}
	return os.Remove(path)
}

func stream(path string, take func(size int64, r io.Reader) error) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return take(st.Size(), f)
}

// Keystore implements [backup.Snapshot].
func (v *snapshot) Keystore(ctx context.Context, file func(name string, size int64, r io.Reader) error) error {
	path, err := v.copy(ctx, filepath.Join(v.keys, keystoreName))
	if err == nil {
		err = stream(path, func(size int64, r io.Reader) error { return file(keystoreName, size, r) })
	}
	if err = errors.Join(err, wipeKeystore(v.scratch)); err != nil {
		return fmt.Errorf("sqlitesource: %s: %w", keystoreName, err)
	}
	return nil
}

// Close implements [backup.Snapshot].
func (v *snapshot) Close() error {
	var errs []error
	if v.scratch != "" {
		errs = append(errs, clearAway(v.scratch))
	}
	if v.lock != nil {
		errs = append(errs, v.lock.Unlock())
		v.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sqlitesource: close: %w", err)
	}
	return nil
}

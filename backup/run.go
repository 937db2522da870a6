package backup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/art32/art32/internal/filelock"
	"github.com/art32/art32/tenancy"
)

// run is one run while it is made.
type run struct {
	*Job

	manifest Manifest
	sink     *sink
}

// Run makes one backup: each part is encrypted on its way, the manifest is
// signed last, and only then the backup exists. Before that, the run is recorded
// as "backup.run" in the platform's log: no entry, no backup. A run that fails
// leaves the earlier ones as they were. It refuses with [ErrLedger] a vault
// whose ledger is older than the last run, and with [ErrBusy] to run twice at
// once.
//
// Where the manifest is not nil the backup stands; an error beside it then says
// what old remains could not be tidied away.
func (j *Job) Run(ctx context.Context) (*Manifest, error) {
	ctx, err := onPlatform(ctx, "backup")
	if err != nil {
		return nil, err
	}
	lock, err := filelock.Try(filepath.Join(slices.Min(j.vault.dirs), runLockName))
	if err != nil {
		return nil, fmt.Errorf("backup: run: %w: %w", ErrVault, err)
	}
	if lock == nil {
		return nil, ErrBusy
	}
	defer func() { _ = lock.Unlock() }()
	runs, err := List(ctx, j.target)
	if err != nil {
		return nil, err
	}
	r, err := j.begin(ctx, signedBy(runs, j.Signer()))
	if err == nil {
		err = r.make(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: run: %w", errors.Join(err, r.undo(ctx)))
	}
	return &r.manifest, j.tidy(ctx, runs)
}

// onPlatform is ctx without a tenant, with a service as actor where none acts.
func onPlatform(ctx context.Context, service string) (context.Context, error) {
	ctx = tenancy.WithTenant(ctx, tenancy.ID{})
	if _, err := tenancy.ActorFrom(ctx); err == nil {
		return ctx, nil
	}
	actor, err := tenancy.Service(service)
	return tenancy.WithActor(ctx, actor), err
}

// begin names the run and looks that it may follow the one before.
func (j *Job) begin(ctx context.Context, before []Run) (*run, error) {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := &run{Job: j, manifest: Manifest{
		Format: Format, Run: now.Format("20060102T150405Z") + "-" + hex.EncodeToString(id[:]),
		Number: 1, Began: now, Engine: j.source.Engine(), Signer: j.Signer(),
	}}
	r.sink = &sink{run: r, parts: map[tenancy.ID]*part{}, tables: map[tenancy.ID][]Table{}, forgotten: map[tenancy.ID]bool{}}
	if len(before) == 0 {
		return r, nil
	}
	last := before[len(before)-1]
	r.manifest.Number = last.Manifest.Number + 1
	r.manifest.Previous = &Previous{Run: last.Name, Manifest: last.digest}
	return r, j.vault.follows(ctx, last.Manifest.Ledger)
}

// follows refuses a ledger that is older than a run.
func (v *Vault) follows(ctx context.Context, s LedgerState) error {
	return v.locked(ctx, func() error {
		if err := v.refresh(); err != nil {
			return err
		}
		if !v.chain.holds(s) {
			return fmt.Errorf("%w: the last run saw %d entries that it does not hold: restore the vault's folders", ErrLedger, s.Entries)
		}
		return nil
	})
}

func (r *run) make(ctx context.Context) error {
	r.step("begun")
	if err := r.copy(ctx); err != nil {
		return err
	}
	if err := r.describe(ctx); err != nil {
		return err
	}
	r.step("described")
	if err := r.complete(ctx); err != nil {
		return err
	}
	m := &r.manifest
	err := r.recorder.Record(ctx, "backup.run",
		slog.String("run", m.Run), slog.Int64("number", m.Number), slog.Int("parts", len(m.Parts)),
		slog.Int64("bytes", m.bytes()), slog.Int64("ledger_entries", m.Ledger.Entries))
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	r.step("recorded")
	return r.commit(ctx)
}

func (m *Manifest) bytes() (n int64) {
	for _, p := range m.Parts {
		n += p.Size
	}
	return n
}

// copy writes parts and keystore out of one view of the source.
func (r *run) copy(ctx context.Context) (err error) {
	snap, err := r.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			err = errors.Join(err, snap.Close())
		}
	}()
	if err := snap.Write(ctx, r.sink); err != nil {
		return err
	}
	for _, t := range append([]tenancy.ID{{}}, snap.Tenants()...) {
		if _, err := r.sink.part(ctx, t); err != nil {
			return err
		}
	}
	r.step("written")
	if err := r.sink.close(ctx); err != nil {
		return err
	}
	r.step("parts")
	if err := r.keystore(ctx, snap); err != nil {
		return err
	}
	r.step("keystore")
	if err := r.ledger(ctx); err != nil {
		return err
	}
	r.manifest.Position = snap.Position()
	r.manifest.Excluded = append(r.manifest.Excluded, snap.Excluded()...)
	if err := r.texts(ctx, snap); err != nil {
		return err
	}
	open = false
	return snap.Close()
}

// keystore copies the keystore into the vault.
func (r *run) keystore(ctx context.Context, snap Snapshot) (err error) {
	for _, dir := range r.vault.dirs {
		if err := sweep(filepath.Join(dir, keystoresDir)); err != nil {
			return err
		}
	}
	name := keystoreName(r.manifest.Run)
	object, err := r.vault.create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Abort()) }()
	p, err := newPart(object, name, r.manifest.Began, r.vault.recipient)
	if err != nil {
		return err
	}
	files := 0
	if err := snap.Keystore(ctx, func(name string, size int64, in io.Reader) error {
		files++
		return p.file(name, size, in)
	}); err != nil {
		return err
	}
	if files == 0 {
		return errors.New("the source gave no keystore")
	}
	if err := p.close(ctx); err != nil {
		return err
	}
	r.manifest.Keystore = *p.done
	return nil
}

// ledger notes how far the ledger was written when the keystore was copied: a
// ledger that holds less is older than the backup.
func (r *run) ledger(ctx context.Context) error {
	return r.vault.locked(ctx, func() error {
		err := r.vault.refresh()
		r.manifest.Ledger = r.vault.chain.state()
		return err
	})
}

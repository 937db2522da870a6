package backup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// run is one run while it is made.
type run struct {
	*Job

	manifest Manifest
	digest   string // of the manifest
	sink     *sink
	added    int // erasures that the ledger lacked
}

// Eraser is what a [Snapshot] may offer beyond: it tells who is erased.
type Eraser interface {
	// Erased hands on the data subjects whom the view shows as erased, and the
	// tenants, each with the nil id and before its data subjects. It is called
	// after Keystore.
	Erased(ctx context.Context, each func(tenant tenancy.ID, subject uuid.UUID) error) error
}

// Run makes one backup: each part is encrypted on its way, the manifest is
// signed last, and only then the backup exists. Before that, the run is recorded
// as "backup.run" in the platform's log: no entry, no backup. A run that fails
// leaves the earlier ones as they were. It refuses with [ErrLedger] a vault
// whose ledger is older than any run that vault or target tell of, with
// [ErrVault] one that lacks the identities of the last run, and with [ErrBusy] to
// run twice at once.
//
// Where the manifest is not nil the backup stands; an error beside it then says
// what somebody must look at: old remains that could not be tidied away, a run
// that was committed and is not in the target any more ([ErrDamaged]), erasures
// that the ledger was not told of ([ErrLedger]).
func (j *Job) Run(ctx context.Context) (*Manifest, error) {
	ctx, err := onPlatform(ctx, "backup")
	if err != nil {
		return nil, err
	}
	release, err := j.vault.alone()
	if err != nil {
		return nil, fmt.Errorf("backup: run: %w", err)
	}
	defer release()
	before, err := j.history(ctx)
	if err != nil {
		return nil, fmt.Errorf("backup: run: %w", err)
	}
	r, err := j.begin(ctx, before)
	if err == nil {
		err = r.make(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: run: %w", errors.Join(err, r.undo(ctx)))
	}
	return &r.manifest, errors.Join(r.note(ctx), j.tidy(ctx, before), r.unlisted())
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
func (j *Job) begin(ctx context.Context, before *history) (*run, error) {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := &run{Job: j, manifest: Manifest{
		Format: Format, Run: now.Format("20060102T150405Z") + "-" + hex.EncodeToString(id[:]),
		Number: 1, Began: now, Engine: j.source.Engine(), Signer: j.Signer(),
	}}
	r.sink = &sink{run: r, parts: map[tenancy.ID]*part{}, tables: map[tenancy.ID][]Table{}, forgotten: map[tenancy.ID]bool{}}
	if last := before.last(j.Signer()); last != nil {
		r.manifest.Number = last.Number + 1
		r.manifest.Previous = &Previous{Run: last.Run, Manifest: last.Manifest}
	}
	return r, j.vault.follows(ctx, before, j.Signer())
}

// note tells the vault that the run was committed.
func (r *run) note(ctx context.Context) error {
	return r.vault.locked(ctx, func() error { return r.vault.note(r.o.Target, &r.manifest, r.digest) })
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
	if err := r.ledger(ctx, snap); err != nil {
		return err
	}
	r.manifest.Position = oneLine(snap.Position())
	for _, x := range snap.Excluded() {
		r.manifest.Excluded = append(r.manifest.Excluded, Excluded{Table: oneLine(x.Table), Reason: oneLine(x.Reason)})
	}
	if err := r.texts(ctx, snap); err != nil {
		return err
	}
	open = false
	return snap.Close()
}

// keystore copies the keystore into the vault.
func (r *run) keystore(ctx context.Context, snap Snapshot) (err error) {
	if err := r.vault.locked(ctx, r.vault.sweepKeystores); err != nil {
		return err
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

func (v *Vault) sweepKeystores() error {
	for _, f := range v.open {
		if err := f.sweep(keystoresDir); err != nil {
			return err
		}
	}
	return nil
}

// ledger notes how far the ledger was written when the keystore was copied: a
// ledger that holds less is older than the backup. Erasures that it lacks and
// the source shows are written down first.
func (r *run) ledger(ctx context.Context, snap Snapshot) error {
	return r.vault.locked(ctx, func() error {
		if err := r.vault.refresh(); err != nil {
			return err
		}
		before := r.vault.chain.state().Entries
		if e, ok := snap.(Eraser); ok {
			if err := e.Erased(ctx, r.vault.complete); err != nil {
				return err
			}
		}
		r.manifest.Ledger = r.vault.chain.state()
		r.added = int(r.manifest.Ledger.Entries - before)
		return nil
	})
}

// complete writes an entry for a data subject, unless one stands for the whole
// tenant.
func (v *Vault) complete(tenant tenancy.ID, subject uuid.UUID) error {
	if v.listed(tenant, wholeTenant) {
		return nil
	}
	return v.append(tenant, subject)
}

// unlisted says that the database was erased from without the ledger. At the
// first run that is in order: the vault is newer than the erasures.
func (r *run) unlisted() error {
	if r.added == 0 || r.manifest.Previous == nil {
		return nil
	}
	return fmt.Errorf("%w: %d erasures since the last run were not in it and were added now: open the database with Options.Ledger, Vault.Ledger", ErrLedger, r.added)
}

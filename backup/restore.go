package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"filippo.io/age"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/sshsig"
	"github.com/art32/art32/tenancy"
)

// SignerOfManifest asks, in the place of a signer, for the one that the
// backup names itself: a forged backup is believed. It is for somebody who has
// lost the signer's key and trusts everybody who can write the target.
const SignerOfManifest = "-"

// RestoreOptions say what a restore needs beside the backup.
type RestoreOptions struct {
	// Signer is the public key that must have signed, as [Job.Signer] printed it
	// and the operator kept it, or [SignerOfManifest]. Required: what a backup
	// holds is executed, on PostgreSQL as a superuser.
	Signer string
	// Vault are the vault's folders; one that survived is enough. Give all that
	// did: erasures behind the newest run are vouched for by two copies of the
	// ledger agreeing, and by nothing else. Required.
	Vault []string
	// Identities of at least one recovery recipient. Required.
	Identities []age.Identity
	// Root opens the keystore. Required.
	Root keyring.Wrapper
	// Log makes the log that the repeated erasures are recorded in. Required.
	Log func(*keyring.Ring) (tenancy.ChangeRecorder, error)
	// Recorder, where it is set, makes what "backup.restored" is recorded with in
	// the platform's log; with audit, it calls audit.NewRecorder. Default: the
	// restore as a whole leaves no event, the repeated erasures do.
	Recorder func(tenancy.ChangeRecorder, *tenancy.DB) (Recorder, error)
	// UnsafeWithoutLedger is the reason why a ledger that is lost, cut, forged or
	// older than any run is accepted, or one that cannot be compared with them:
	// whoever it does not name comes back. The result repeats it. Default: such a
	// ledger ends the restore.
	UnsafeWithoutLedger string
}

func (o *RestoreOptions) check() error {
	if o == nil || len(o.Vault) == 0 || len(o.Identities) == 0 || o.Root == nil || o.Log == nil {
		return errors.New("vault, identities, root and log are required")
	}
	if o.Signer == "" {
		return errors.New("the signer is required; SignerOfManifest asks for the one that the backup names, forged or not")
	}
	return nil
}

// Restored is what a restore did. It names no tenant and no person.
type Restored struct {
	Run         string `json:"run"`          // its name
	Signer      string `json:"signer"`       // whose signature it bears
	SignerGiven bool   `json:"signer_given"` // by the caller, not by the manifest
	Tenants     int    `json:"tenants"`      // whose part was restored
	Tables      int    `json:"tables"`       // compared by rows and fingerprint
	Rows        int64  `json:"rows"`
	// Erased is how many erasures were repeated.
	Erased int `json:"erased"`
	// Ledger is how far the ledger reaches that they came from.
	Ledger LedgerState `json:"ledger"`
	// WithoutLedger is the reason that was given for a ledger that is not whole.
	WithoutLedger string `json:"without_ledger,omitempty"`
	// Forgotten are the parts that nobody can open any more, by intent.
	Forgotten []string `json:"forgotten,omitempty"`
	// Newer are later runs of the same target and signer, in their order, that the
	// target holds or the vault tells of: this one is not the last state. Where the target holds a run of
	// which the vault does not tell whose it is, those of all targets of the vault.
	Newer []string `json:"newer,omitempty"`
	// Excluded is what the backup did not hold.
	Excluded []Excluded `json:"excluded"`
}

// Restore puts a run into an empty place (TOM-7.3). Signature and digests of
// everything are checked before the first byte is written. Each part is then
// read once more, into a private copy below [os.TempDir], whose digest is checked
// before a byte of it is used. What was loaded is counted and compared with what
// the source counted; the signer must be the restored keystore's own; every
// erasure in the ledger is repeated; only then the place becomes usable. An error
// leaves nothing behind that anybody could use. It refuses a place that is in use
// ([ErrNotEmpty]), and never writes into one.
//
// The ledger must hold what any run has seen that the signer made, not this one
// alone: those that the target holds, and those that the vault's folders tell of
// ([ErrLedger]). Each of its entries must bear the code that the restored
// keystore gives it, once that is open. A note in the vault that another key
// signed ends the restore ([ErrVault]).
func Restore(ctx context.Context, target Target, run string, into Destination, o *RestoreOptions) (*Restored, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("backup: restore: %w", err)
	}
	if into == nil {
		return nil, errors.New("backup: restore: the destination must not be nil")
	}
	res, err := restore(ctx, target, run, into, o)
	if err != nil {
		return nil, fmt.Errorf("backup: restore: %w", err)
	}
	return res, nil
}

// named is the signer that the caller knows, or "".
func named(signer string) string {
	if signer == SignerOfManifest {
		return ""
	}
	return signer
}

// restoring is one restore under way.
type restoring struct {
	*reading

	into   Destination
	o      *RestoreOptions
	keys   map[string][]age.Identity
	chain  *chain
	result *Restored
	tables map[tenancy.ID][]Table
	parts  map[tenancy.ID]string // names
}

func restore(ctx context.Context, target Target, run string, into Destination, o *RestoreOptions) (*Restored, error) {
	read, err := look(ctx, target, run, named(o.Signer))
	if err != nil {
		return nil, err
	}
	r := &restoring{reading: read, into: into, o: o, tables: map[tenancy.ID][]Table{}, parts: map[tenancy.ID]string{}}
	r.result = &Restored{Run: run, Signer: r.manifest.Signer, SignerGiven: named(o.Signer) != "", Excluded: r.manifest.Excluded}
	open, err := r.prepare(ctx)
	if err != nil {
		return nil, err
	}
	if err := into.Begin(ctx); err != nil {
		return nil, err
	}
	if err := r.fill(ctx, open); err != nil {
		return nil, errors.Join(err, into.Abort(context.WithoutCancel(ctx)))
	}
	return r.result, nil
}

// prepare looks at everything before anything is written.
func (r *restoring) prepare(ctx context.Context) (keystore opener, err error) {
	if r.manifest.Engine != r.into.Engine() {
		return nil, fmt.Errorf("the backup is of engine %s, the place of %s", r.manifest.Engine, r.into.Engine())
	}
	if r.vault, err = checkFolders(r.o.Vault); err != nil {
		return nil, err
	}
	if err := r.whole(ctx); err != nil {
		return nil, err
	}
	if keystore, err = r.keystore(ctx); err != nil {
		return nil, err
	}
	if err := r.erasures(ctx, nil); err != nil {
		return nil, err
	}
	r.result.Newer = r.said.newer(r.manifest)
	r.keys, r.result.Forgotten, err = r.unlock(r.o.Identities)
	return keystore, err
}

// erasures reads the ledger; see [reading.ledger]. One that does not hold what it
// must is taken as it is where the caller said why.
func (r *restoring) erasures(ctx context.Context, secret []byte) (err error) {
	r.chain, err = r.ledger(ctx, secret)
	if ctx.Err() != nil || err != nil && r.o.UnsafeWithoutLedger == "" {
		return errors.Join(err, ctx.Err())
	}
	if err != nil {
		r.result.WithoutLedger = r.o.UnsafeWithoutLedger
	}
	r.result.Ledger = r.chain.state()
	return nil
}

// fill loads, compares, replays and finishes.
func (r *restoring) fill(ctx context.Context, keystore opener) error {
	err := readPart(ctx, keystore, r.manifest.Keystore, r.o.Identities, func(name string, size int64, in io.Reader) error {
		return r.into.Keystore(ctx, name, size, in)
	})
	if err != nil {
		return err
	}
	for _, p := range r.manifest.Parts {
		if err := r.load(ctx, p); err != nil {
			return err
		}
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.replay(ctx); err != nil {
		return err
	}
	return r.into.Finish(ctx)
}

func (r *restoring) load(ctx context.Context, p File) error {
	if r.keys[p.Name] == nil {
		return nil // forgotten
	}
	c, err := r.content(ctx, p, r.keys[p.Name], func(t tenancy.ID, name string, size int64, in io.Reader) error {
		return r.into.File(ctx, t, name, size, in)
	})
	if err != nil {
		return err
	}
	if _, twice := r.tables[c.tenant]; twice {
		return damaged(p.Name, "another part is of the same tenant")
	}
	r.tables[c.tenant], r.parts[c.tenant] = sorted(c.tables), p.Name
	if !c.tenant.IsZero() {
		r.result.Tenants++
	}
	return nil
}

// compare holds what was loaded against what the source counted.
func (r *restoring) compare(ctx context.Context) error {
	got, err := r.into.Loaded(ctx)
	if err != nil {
		return err
	}
	for tenant, tables := range got {
		if _, known := r.tables[tenant]; !known && len(tables) > 0 {
			return damaged("tenant "+tenant.String(), "it has rows and no part")
		}
	}
	for tenant, want := range r.tables {
		have := sorted(got[tenant])
		for i, t := range want {
			if i >= len(have) || have[i] != t {
				return damaged("table "+t.Name+" of tenant "+tenant.String(), "the rows are not those that were backed up")
			}
			r.result.Tables++
			r.result.Rows += t.Rows
		}
		if !slices.Equal(want, have) {
			return damaged("tenant "+tenant.String(), "it has tables that were not backed up")
		}
	}
	return nil
}

// replay opens what was loaded and repeats the erasures.
func (r *restoring) replay(ctx context.Context) (err error) {
	var log tenancy.ChangeRecorder
	opened, err := r.into.Open(ctx, r.o.Root, func(ring *keyring.Ring) (tenancy.ChangeRecorder, error) {
		log, err = r.o.Log(ring)
		return log, err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	names, err := openPseudonyms(ctx, opened.Keys)
	if err != nil {
		return err
	}
	if err := r.belongs(ctx, names, opened.Keys); err != nil {
		return err
	}
	if err := r.erasures(ctx, names.subjects); err != nil {
		return err
	}
	if r.result.Erased, err = replay(ctx, opened, r.chain); err != nil {
		return fmt.Errorf("repeat the erasures (if a table is missing, give the destination the application's migrations): %w", err)
	}
	return r.record(ctx, log, opened.DB)
}

// belongs refuses a keystore that gives the tenants other names than the backup:
// with it nobody would be found in the ledger. And it refuses one that signs with
// another key than the backup's: whoever wrote that had no keystore of it.
func (r *restoring) belongs(ctx context.Context, names pseudonyms, keys *keyring.Ring) error {
	for tenant, part := range r.parts {
		if !tenant.IsZero() && tenantsDir+names.tenant(tenant)+partSuffix != part {
			return damaged(part, "it is not that of the tenant whose data it holds, or the keystore is another one")
		}
	}
	own, err := openSigner(ctx, keys)
	if err != nil {
		return err
	}
	defer clear(own.key)
	if sshsig.FormatSigner(own.public) != r.manifest.Signer {
		return fmt.Errorf("%w: the restored keystore holds another signer than the one that signed", ErrSignature)
	}
	return nil
}

func (r *restoring) record(ctx context.Context, log tenancy.ChangeRecorder, db *tenancy.DB) error {
	if r.o.Recorder == nil {
		return nil
	}
	recorder, err := r.o.Recorder(log, db)
	if err != nil {
		return err
	}
	if ctx, err = onPlatform(ctx, restoreActor); err != nil {
		return err
	}
	res := r.result
	return recorder.Record(ctx, "backup.restored", slog.String("run", res.Run), slog.Int64("rows", res.Rows),
		slog.Int("erased", res.Erased), slog.Int64("ledger_entries", res.Ledger.Entries),
		slog.String("without_ledger", res.WithoutLedger), slog.Int("forgotten", len(res.Forgotten)), slog.Int("newer", len(res.Newer)))
}

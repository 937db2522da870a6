package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	restoreActor = "backup-restore"
	replayReason = "replay of the ledger of erasures after a restore"
	subjectNames = "subject/" // of records in the keystore
)

// Replay repeats the erasures that the ledger holds on a restored database and
// keystore, and returns how many it had to repeat (Art. 17 GDPR): a copy must
// not bring back who was forgotten. [Restore] does the same; after a restore by
// hand the operator calls this, before anybody uses the database. vault are
// folders of the vault; one that survived is enough. It refuses with [ErrLedger]
// a ledger that lacks what a run has seen that the vault tells of, or holds what
// this system did not write. It acts as a service where ctx names nobody, and
// can be repeated.
func Replay(ctx context.Context, db *tenancy.DB, keys *keyring.Ring, store keyring.Lister, vault ...string) (int, error) {
	c, err := ledgerIn(ctx, db, keys, store, vault)
	if err != nil {
		return 0, fmt.Errorf("backup: replay: %w", err)
	}
	n, err := replay(ctx, &Opened{DB: db, Keys: keys, Store: store}, c)
	if err != nil {
		return n, fmt.Errorf("backup: replay: %w", err)
	}
	return n, nil
}

// Missed counts the erasures of the ledger that [Replay] would have to repeat on
// a database and its keystore: those of people whom they know, and who are not
// erased there. It changes nothing. What it is given is that of Replay.
func Missed(ctx context.Context, db *tenancy.DB, keys *keyring.Ring, store keyring.Lister, vault ...string) (int, error) {
	c, err := ledgerIn(ctx, db, keys, store, vault)
	if err != nil {
		return 0, fmt.Errorf("backup: missed: %w", err)
	}
	n := 0
	err = eachTenant(ctx, &Opened{DB: db, Keys: keys, Store: store}, c, func(ctx context.Context, r *replayer, t tenancy.ID) error {
		due, err := r.due(ctx, t)
		n += len(due)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("backup: missed: %w", err)
	}
	return n, nil
}

// ledgerIn reads the ledger out of folders of the vault. Each must hold one,
// written with these keys, and as long as the runs saw it that the folders tell
// of: with an empty, a foreign or an old one people would come back in silence.
func ledgerIn(ctx context.Context, db *tenancy.DB, keys *keyring.Ring, store keyring.Lister, vault []string) (*chain, error) {
	if db == nil || keys == nil || store == nil {
		return nil, errors.New("database, keys and store must not be nil")
	}
	dirs, err := checkFolders(vault)
	if err != nil {
		return nil, err
	}
	names, err := openPseudonyms(ctx, keys)
	if err != nil {
		return nil, err
	}
	own, err := openSigner(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer clear(own.key)
	noted, notedErr := notesIn(dirs, own.public)
	c, err := readLedgers(dirs).chain(names.subjects)
	if err := errors.Join(err, notedErr); err != nil {
		return nil, err
	}
	if err := c.reaches(noted); err != nil {
		return nil, err
	}
	return c, nil
}

// replayer repeats erasures in one restored database.
type replayer struct {
	*Opened

	chain  *chain
	names  pseudonyms
	stored map[tenancy.ID][]storedSubject // as the keystore was
	n      int
}

// storedSubject is a data subject that the keystore knows.
type storedSubject struct {
	id     uuid.UUID
	erased bool
}

func replay(ctx context.Context, o *Opened, c *chain) (n int, err error) {
	err = eachTenant(ctx, o, c, func(ctx context.Context, r *replayer, t tenancy.ID) error {
		err := r.tenant(ctx, t)
		n = r.n
		return err
	})
	return n, err
}

// eachTenant visits the tenants of whom anybody was ever erased.
func eachTenant(ctx context.Context, o *Opened, c *chain, visit func(context.Context, *replayer, tenancy.ID) error) error {
	ctx, err := onPlatform(ctx, restoreActor)
	if err != nil {
		return err
	}
	names, err := openPseudonyms(ctx, o.Keys)
	if err != nil {
		return err
	}
	r := &replayer{Opened: o, chain: c, names: names, stored: map[tenancy.ID][]storedSubject{}}
	if err := r.readStore(ctx); err != nil {
		return err
	}
	tenants, err := o.DB.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if !c.tenants[names.tenant(t.ID)] {
			continue
		}
		if err := visit(tenancy.WithReason(tenancy.WithTenant(ctx, t.ID), replayReason), r, t.ID); err != nil {
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

func (r *replayer) readStore(ctx context.Context) error {
	for rec, err := range r.Store.List(ctx) {
		if err != nil {
			return err
		}
		text, ok := strings.CutPrefix(rec.Name, subjectNames)
		if !ok {
			continue
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return errors.New("the keystore names a data subject by no id")
		}
		t := tenancy.ID(rec.Tenant)
		r.stored[t] = append(r.stored[t], storedSubject{id, rec.State == keyring.Erased})
	}
	return nil
}

// tenant erases who is due. The keys go first: they are the point.
func (r *replayer) tenant(ctx context.Context, t tenancy.ID) error {
	if r.listed(t, wholeTenant) {
		return r.whole(ctx, t)
	}
	for _, s := range r.stored[t] {
		if !r.listed(t, s.id) {
			continue
		}
		if err := r.Keys.Shred(ctx, t.UUID(), s.id); err != nil {
			return err
		}
	}
	due, err := r.due(ctx, t)
	for id, closed := range due {
		if !closed {
			err = r.DB.Erase(ctx, id)
		}
		if err != nil {
			return err
		}
		r.n++
	}
	return err
}

// whole erases a tenant that was erased as a whole.
func (r *replayer) whole(ctx context.Context, t tenancy.ID) error {
	if done, err := r.DB.TenantErased(ctx); done || err != nil {
		return err
	}
	if err := r.Keys.ShredTenant(ctx, t.UUID()); err != nil {
		return err
	}
	r.n++
	return r.DB.EraseTenant(ctx)
}

// due are the data subjects in the ledger whom the data do not show as erased:
// key gone, and rows cleared in the transaction that says so. True stands for
// one of a tenant that is closed: the key is all that is left to go.
func (r *replayer) due(ctx context.Context, t tenancy.ID) (map[uuid.UUID]bool, error) {
	if r.listed(t, wholeTenant) {
		done, err := r.DB.TenantErased(ctx)
		if done || err != nil {
			return nil, err
		}
		return map[uuid.UUID]bool{wholeTenant: true}, nil
	}
	due, keyGone := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, s := range r.stored[t] {
		if r.listed(t, s.id) {
			due[s.id], keyGone[s.id] = false, keyGone[s.id] || s.erased
		}
	}
	for id, err := range r.DB.Subjects(ctx) {
		if errors.Is(err, tenancy.ErrUnknownTenant) {
			return closed(keyGone), nil
		}
		if err != nil {
			return nil, err
		}
		if r.listed(t, id) {
			due[id] = false
		}
	}
	cleared, err := r.cleared(ctx, t)
	for id := range due {
		if keyGone[id] && cleared[id] {
			delete(due, id)
		}
	}
	return due, err
}

// closed are those of a closed tenant whose key is there.
func closed(keyGone map[uuid.UUID]bool) map[uuid.UUID]bool {
	due := map[uuid.UUID]bool{}
	for id, gone := range keyGone {
		if !gone {
			due[id] = true
		}
	}
	return due
}

func (r *replayer) listed(t tenancy.ID, subject uuid.UUID) bool {
	return r.chain.has(r.names.tenant(t), r.names.subject(t, subject))
}

// cleared are the data subjects whose rows were cleared in the transaction that
// says so.
func (r *replayer) cleared(ctx context.Context, t tenancy.ID) (map[uuid.UUID]bool, error) {
	eng := r.DB.Engine(engine.Library)
	tx, err := eng.Begin(ctx, engine.Scope{Tenant: t.UUID()})
	if err != nil {
		return nil, err
	}
	done := map[uuid.UUID]bool{}
	_, err = tx.Run(ctx, engine.Stmt{
		SQL:  "SELECT subject FROM " + engine.Table(eng.Dialect(), "erased") + " WHERE tenant_id = $1",
		Args: []any{t.UUID()},
	}, engine.Commit, func(row engine.Row) error {
		var id uuid.UUID
		err := row.Scan(&id)
		done[id] = true
		return err
	})
	return done, err
}

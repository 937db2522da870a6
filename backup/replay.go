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
// not bring back who was forgotten. [Restore] calls it; after a restore by hand
// the operator does, before anybody uses the database. It acts as a service
// where ctx names nobody, and can be repeated.
func Replay(ctx context.Context, db *tenancy.DB, keys *keyring.Ring, store keyring.Lister, ledger *Ledger) (int, error) {
	if db == nil || keys == nil || store == nil || ledger == nil {
		return 0, errors.New("backup: replay: database, keys, store and ledger must not be nil")
	}
	var c *chain
	err := ledger.vault.locked(ctx, func() error {
		err := ledger.vault.refresh()
		c = ledger.vault.chain
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("backup: replay: %w", err)
	}
	n, err := replay(ctx, &Opened{DB: db, Keys: keys, Store: store}, c)
	if err != nil {
		return n, fmt.Errorf("backup: replay: %w", err)
	}
	return n, nil
}

// replayer repeats erasures in one restored database.
type replayer struct {
	*Opened

	chain  *chain
	names  pseudonyms
	stored map[tenancy.ID][]storedSubject
	n      int
}

// storedSubject is a data subject that the keystore knows.
type storedSubject struct {
	id     uuid.UUID
	erased bool
}

func replay(ctx context.Context, o *Opened, c *chain) (int, error) {
	ctx, err := onPlatform(ctx, restoreActor)
	if err != nil {
		return 0, err
	}
	names, err := openPseudonyms(ctx, o.Keys)
	if err != nil {
		return 0, err
	}
	r := &replayer{Opened: o, chain: c, names: names, stored: map[tenancy.ID][]storedSubject{}}
	if err := r.readStore(ctx); err != nil {
		return 0, err
	}
	tenants, err := o.DB.Tenants(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range tenants {
		if !c.tenants[names.tenant(t.ID)] {
			continue // nobody of this tenant was ever erased
		}
		if err := r.tenant(tenancy.WithReason(tenancy.WithTenant(ctx, t.ID), replayReason), t.ID); err != nil {
			return r.n, fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return r.n, nil
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

// tenant erases who is in the ledger, unless the restored data say that it was
// finished before the backup. The keys go first: they are the point.
func (r *replayer) tenant(ctx context.Context, t tenancy.ID) error {
	due := map[uuid.UUID]bool{} // whether the key is gone already
	for _, s := range r.stored[t] {
		if r.listed(t, s.id) {
			due[s.id] = due[s.id] || s.erased
		}
	}
	for id := range due {
		if err := r.Keys.Shred(ctx, t.UUID(), id); err != nil {
			return err
		}
	}
	for id, err := range r.DB.Subjects(ctx) {
		if errors.Is(err, tenancy.ErrUnknownTenant) {
			r.n += len(due)
			return nil // closed: nobody can open the rest
		}
		if err != nil {
			return err
		}
		if _, known := due[id]; !known && r.listed(t, id) {
			due[id] = false
		}
	}
	cleared, err := r.cleared(ctx, t)
	if err != nil {
		return err
	}
	for id, keyGone := range due {
		if keyGone && cleared[id] {
			continue
		}
		if err := r.DB.Erase(ctx, id); err != nil {
			return err
		}
		r.n++
	}
	return nil
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

package tenancy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// opener is who acts where nobody does: the program, when it opens a database.
var opener = MustService("tenancy/open")

// Fits fails with [ErrOtherKeystore] where the keystore does not know the first
// tenant of the database. It may be empty: keys that were begun in it anew would
// keep those that were lost from being restored. The engine packages call it
// before anything else that uses keys.
func (db *DB) Fits(ctx context.Context, _ engine.Key) error {
	tx, err := db.eng.Begin(ctx, engine.Scope{})
	if err != nil {
		return wrap("begin", "transaction", err)
	}
	var first uuid.UUID
	n, err := tx.Run(ctx, engine.Stmt{
		SQL: "SELECT id FROM " + engine.Table(db.eng.Dialect(), "tenants") + " ORDER BY created_at, id LIMIT 1",
	}, engine.Commit, func(r engine.Row) error { return r.Scan(&first) })
	if err != nil || n == 0 {
		return wrap("look for", "tenants", err)
	}
	known, err := db.keys.HasTenant(ctx, first)
	if err == nil && !known {
		err = ErrOtherKeystore
	}
	return wrap("compare", "keystore", err)
}

// erasureSecret is the platform's secret under which erasures have their codes. It
// is made before there is anything to erase, so that every copy of the keystore has
// it.
const erasureSecret = "erasure/code"

// erasureCode is what an erasure writes beside the id of the data subject, or of
// the tenant. Keys are destroyed again only where it is right: whoever may write
// the data must not be able to have keys destroyed in a keystore that he cannot
// write.
func (db *DB) erasureCode(ctx context.Context, tenant, subject uuid.UUID) ([]byte, error) {
	secret, err := db.keys.Secret(ctx, uuid.Nil, erasureSecret)
	if err != nil {
		return nil, wrap("compute", "code of the erasure", err)
	}
	defer clear(secret)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("art32/erasure/v1"))
	mac.Write(tenant[:])
	mac.Write(subject[:])
	return mac.Sum(nil), nil
}

// confirmed fails with [ErrForgedErasure] unless all are erasures of this system.
func (db *DB) confirmed(ctx context.Context, all []engine.Erased) error {
	for _, e := range all {
		code, err := db.erasureCode(ctx, e.Tenant, e.Subject)
		if err != nil {
			return err
		}
		if !hmac.Equal(code, e.Code) {
			return fmt.Errorf("%w (tenant %s)", ErrForgedErasure, e.Tenant)
		}
	}
	return nil
}

// Reconcile destroys again the keys that an older copy of the keystore has brought
// back, of people and tenants who the data say were erased, and returns how many
// those were. It leaves an event in the platform's log before it begins. It asks the
// keystore for each erasure: that of the newest says nothing of the others, since an
// erasure may end long after its key was destroyed, and a keystore may lack some
// keys only. The engine packages call it before they serve anybody.
func (db *DB) Reconcile(ctx context.Context, of engine.Erasures, _ engine.Key) (destroyed int, err error) {
	alive, err := db.alive(ctx, of)
	if err != nil || len(alive) == 0 {
		return 0, wrap("reconcile", "keystore", err)
	}
	if err := db.confirmed(ctx, alive); err != nil {
		return 0, wrap("reconcile", "keystore", err)
	}
	if err := db.recordReplay(ctx, alive); err != nil {
		return 0, err
	}
	for _, e := range alive {
		if err := db.shred(ctx, e); err != nil {
			return destroyed, wrap("reconcile", "keystore", err)
		}
		destroyed++
	}
	return destroyed, nil
}

// askedAtOnce is how many data subjects the keystore is asked for at once.
const askedAtOnce = 1000

// alive are those whose keys the keystore has, or has never heard of.
func (db *DB) alive(ctx context.Context, of engine.Erasures) (out []engine.Erased, err error) {
	var part []engine.Erased // of one tenant
	ask := func() error {
		if len(part) == 0 {
			return nil
		}
		subjects := make([]uuid.UUID, len(part))
		for i := range part {
			subjects[i] = part[i].Subject
		}
		gone, err := db.keys.ErasedAmong(ctx, part[0].Tenant, subjects)
		for i := range part {
			if err == nil && !gone[i] {
				out = append(out, part[i])
			}
		}
		part = part[:0]
		return err
	}
	err = of(ctx, func(e engine.Erased) error {
		if len(part) == askedAtOnce || len(part) > 0 && part[0].Tenant != e.Tenant {
			if err := ask(); err != nil {
				return err
			}
		}
		part = append(part, e)
		return nil
	})
	if err == nil {
		err = ask()
	}
	return out, err
}

// keyGone asks the keystore for the tombstone of a data subject, or of the tenant.
func (db *DB) keyGone(ctx context.Context, tenant, subject uuid.UUID) (bool, error) {
	gone, err := db.keys.ErasedAmong(ctx, tenant, []uuid.UUID{subject})
	return err == nil && gone[0], err
}

func (db *DB) shred(ctx context.Context, e engine.Erased) error {
	if e.Subject == uuid.Nil {
		return db.keys.ShredTenant(ctx, e.Tenant)
	}
	return db.keys.Shred(ctx, e.Tenant, e.Subject)
}

// recordReplay says in the platform's log what is about to be done, and at the
// tenants when: copies that were made meanwhile hold the keys.
func (db *DB) recordReplay(ctx context.Context, alive []engine.Erased) error {
	if _, err := ActorFrom(ctx); err != nil {
		ctx = WithActor(ctx, opener)
	}
	c := Change{Action: "keystore.replay", Outcome: Done, Detail: strconv.Itoa(len(alive)) + " keys of erased people were back"}
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := db.onPlatform(ctx, c, func(_ context.Context, tx *Tx) error {
		done := map[uuid.UUID]bool{}
		for _, e := range alive {
			if done[e.Tenant] {
				continue
			}
			done[e.Tenant] = true
			tx.eng.Queue(engine.Stmt{
				SQL:  "UPDATE " + engine.Table(tx.eng.Dialect(), "tenants") + " SET replayed_at = $2 WHERE id = $1",
				Args: []any{e.Tenant, now},
			})
		}
		return nil
	})
	return wrap("reconcile", "keystore", err)
}

// onPlatform records c in the platform's log and runs fn in the same transaction.
func (db *DB) onPlatform(ctx context.Context, c Change, fn func(ctx context.Context, tx *Tx) error) error {
	ctx = WithTenant(ctx, ID{})
	tx, err := db.begin(ctx, scopeOf(ctx, ID{}))
	if err != nil {
		return err
	}
	return tx.do(ctx, func(ctx context.Context) error {
		if err := db.log.Change(ctx, tx, c); err != nil || fn == nil {
			return err
		}
		return fn(ctx, tx)
	})
}

package tenancy

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/sshsig"
)

// recordSecret is the platform's secret whose key signs erasure records.
const recordSecret = "erasure/signing"

// RecordSigner is the public key that signs erasure records, of the form
// "ssh-ed25519 AAAA…". It is drawn at the first call; whoever verifies records
// holds it elsewhere.
func (db *DB) RecordSigner(ctx context.Context) (string, error) {
	key, err := db.recordKey(ctx)
	if err != nil {
		return "", err
	}
	defer clear(key)
	return sshsig.FormatSigner(key.Public().(ed25519.PublicKey)), nil //nolint:forcetypeassert // documented
}

func (db *DB) recordKey(ctx context.Context) (ed25519.PrivateKey, error) {
	seed, err := db.keys.Secret(ctx, uuid.Nil, recordSecret)
	if err != nil {
		return nil, wrap("open", "key of erasure records", err)
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// ErasureRecord issues the signed record of an erasure, at any time after
// [DB.Erase] returned nil, as often as it is wanted. It looks at what stands: the
// key's tombstone, the rows, the log, the ledger. Where anything is missing it
// returns [ErrNotErased], and where the keyring was opened without a declaration of
// the keystore's copies [keyring.ErrCopies]. What clears the files is repeated
// first. That it is issued is an event of the tenant's log, which does not name the
// person; if it cannot be written there is no record. The reason in ctx goes into
// the record in clear.
func (db *DB) ErasureRecord(ctx context.Context, subject uuid.UUID) (r *SignedErasureRecord, err error) {
	ctx, done := db.tel.span(ctx, "tenancy.ErasureRecord")
	defer func() { done(err) }()
	if subject == uuid.Nil {
		return nil, fmt.Errorf("tenancy: erasure record: no data subject: %w", ErrNotFound)
	}
	scope, err := db.erasing(ctx)
	if err != nil {
		return nil, err
	}
	if err := db.knows(ctx, scope); err != nil {
		return nil, err
	}
	return db.issue(ctx, scope, subject, func(ctx context.Context, draft *ErasureRecord) error {
		return db.inScope(ctx, scope, func(ctx context.Context, tx *Tx) error {
			if err := tx.describeErasure(ctx, draft, subject); err != nil {
				return err
			}
			return tx.record(ctx, Change{Action: "subject.record", Object: draft.ID, Outcome: Done})
		})
	})
}

// TenantErasureRecord is [DB.ErasureRecord] for the context's tenant after
// [DB.EraseTenant]. Its event is one of the platform's log.
func (db *DB) TenantErasureRecord(ctx context.Context) (r *SignedErasureRecord, err error) {
	ctx, done := db.tel.span(ctx, "tenancy.TenantErasureRecord")
	defer func() { done(err) }()
	scope, err := db.erasing(ctx)
	if err != nil {
		return nil, err
	}
	scope.Closed = true
	state, err := db.tenantErasure(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	if state.cleared.IsZero() {
		return nil, fmt.Errorf("tenancy: erasure record: data: %w", ErrNotErased)
	}
	return db.issue(ctx, scope, uuid.Nil, func(ctx context.Context, draft *ErasureRecord) error {
		draft.ErasedAt = state.erased
		err := db.inScope(ctx, scope, func(ctx context.Context, tx *Tx) error { return tx.describeErasure(ctx, draft, uuid.Nil) })
		if err != nil && !errors.Is(err, ErrUnknownTenant) { // a restore without its data has closed it
			return err
		}
		return db.onPlatform(ctx, Change{Action: "tenant.record", Object: draft.ID, Outcome: Done}, nil)
	})
}

// issue makes a record: describe fills in what the tenant's data show, and leaves
// the event.
func (db *DB) issue(
	ctx context.Context, scope engine.Scope, subject uuid.UUID, describe func(ctx context.Context, draft *ErasureRecord) error,
) (*SignedErasureRecord, error) {
	if _, err := db.keys.Horizon(time.Now()); err != nil {
		return nil, wrap("issue", "erasure record", err)
	}
	if err := db.settled(ctx, scope.Tenant, subject); err != nil {
		return nil, fmt.Errorf("tenancy: erasure record: %w", err)
	}
	draft, err := db.draftRecord(ctx, scope, subject)
	if err != nil {
		return nil, err
	}
	key, err := db.recordKey(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	var signed *SignedErasureRecord
	err = describe(ctx, draft)
	if err == nil {
		signed, err = db.signRecord(draft, key)
	}
	if err != nil {
		return nil, wrap("issue", "erasure record", err)
	}
	return signed, nil
}

// settled fails with [ErrNotErased] unless key and ledger show the erasure, and
// repeats what clears the files of keystore and database.
func (db *DB) settled(ctx context.Context, tenant, subject uuid.UUID) error {
	gone, err := db.keyGone(ctx, tenant, subject)
	if err != nil {
		return err
	}
	if !gone {
		return fmt.Errorf("key: %w", ErrNotErased)
	}
	if err := db.told(ctx, tenant, subject); err != nil {
		return err
	}
	if err := db.shred(ctx, engine.Erased{Tenant: tenant, Subject: subject}); err != nil {
		return err
	}
	if err := db.scrub(ctx, tenant); err != nil && !errors.Is(err, ErrUnknownTenant) {
		return err
	}
	return nil
}

// told makes sure that the ledger, if there is one, has the erasure. One that
// cannot be asked is told again.
func (db *DB) told(ctx context.Context, tenant, subject uuid.UUID) error {
	whole, ofTenants := db.ledger.(TenantLedger)
	reader, readable := db.ledger.(LedgerReader)
	switch {
	case db.ledger == nil || subject == uuid.Nil && !ofTenants:
		return nil
	case readable:
		told, err := reader.Told(ctx, ID(tenant), subject)
		if err == nil && !told {
			err = fmt.Errorf("ledger: %w", ErrNotErased)
		}
		return err
	case subject == uuid.Nil:
		return whole.ErasedTenant(ctx, ID(tenant))
	}
	return db.ledger.Erased(ctx, ID(tenant), subject)
}

// draftRecord is a record of what is known without the tenant's data.
func (db *DB) draftRecord(ctx context.Context, scope engine.Scope, subject uuid.UUID) (*ErasureRecord, error) {
	state, err := db.tenantErasure(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	_, ofTenants := db.ledger.(TenantLedger)
	r := &ErasureRecord{
		Format: ErasureRecordFormat, Version: ErasureRecordVersion, ID: uuid.New(), Kind: RecordOfSubject,
		Controller: RecordController{ID: scope.Tenant, Name: state.name}, DataSubject: subject, ReplayedAt: state.replayed,
		IssuedAt: time.Now().UTC().Truncate(time.Microsecond), IssuedBy: scope.Actor, Reason: strings.ToValidUTF8(ReasonFrom(ctx), "\uFFFD"),
		Tables: []RecordTable{}, Untouched: []string{}, Ledger: db.ledger != nil && (subject != uuid.Nil || ofTenants),
		Copies: []RecordCopy{}, CacheSeconds: seconds(db.keys.TTL()), Files: filesOf(db.eng.Dialect()), Build: buildOf(debug.ReadBuildInfo()),
	}
	if subject == uuid.Nil {
		r.Kind = RecordOfTenant
	}
	if teller, ok := db.log.(ErasureTeller); ok {
		remains := teller.Remains()
		r.Log = &remains
	}
	copies, _ := db.keys.Copies() // that they are declared was looked at before
	for _, c := range copies {
		r.Copies = append(r.Copies, RecordCopy{Name: c.Name, LifeSeconds: seconds(c.Life)})
	}
	for _, t := range db.schema {
		d := t.describe()
		if subject != uuid.Nil && !d.tellsOfPeople() {
			r.Untouched = append(r.Untouched, d.name)
			continue
		}
		r.Tables = append(r.Tables, d.inRecord())
	}
	return r, nil
}

// seconds rounds up: a record must not promise an earlier end.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func filesOf(d migrate.Dialect) RecordFiles {
	if d == migrate.SQLite {
		return RecordFiles{Engine: "sqlite", Overwritten: true, LogEmptied: true}
	}
	return RecordFiles{Engine: "postgres", UntilRewritten: true, InLog: true}
}

// buildOf says what the program knows of itself.
func buildOf(info *debug.BuildInfo, ok bool) (b RecordBuild) {
	if !ok {
		return b
	}
	b.Program, b.Version = info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// inRecord sorts the columns by what an erasure does to them.
func (t *table) inRecord() RecordTable {
	r := RecordTable{Name: t.name, Unreadable: []string{}, Deleted: []string{}, Indexes: []string{}, Kept: []string{}}
	for i := range t.cols {
		c := &t.cols[i]
		switch c.class {
		case Encrypted:
			r.Unreadable = append(r.Unreadable, c.name)
		case Personal:
			r.Deleted = append(r.Deleted, c.name)
		case Open:
			r.Kept = append(r.Kept, c.name)
		}
		if c.index != nil {
			r.Indexes = append(r.Indexes, c.index.name)
		}
	}
	return r
}

// describeErasure looks at what stands of the subject, or with the nil id of the
// tenant, and fails with [ErrNotErased] if that is more than may.
func (tx *Tx) describeErasure(ctx context.Context, r *ErasureRecord, subject uuid.UUID) error {
	found := false
	_, err := tx.eng.Run(ctx, engine.Stmt{
		SQL:  "SELECT erased_at FROM " + engine.Table(tx.eng.Dialect(), "erased") + " WHERE tenant_id = $1 AND subject = $2",
		Args: []any{tx.scope.Tenant, subject},
	}, engine.Continue, func(row engine.Row) error {
		found = true
		if subject == uuid.Nil { // when the tenant was closed counts
			return nil
		}
		return row.Scan(&r.ErasedAt)
	})
	if err != nil {
		return wrap("look up", "erasure", err)
	}
	if !found {
		return fmt.Errorf("rows: %w", ErrNotErased)
	}
	r.ErasedAt = r.ErasedAt.UTC().Truncate(time.Microsecond)
	for i := range r.Tables {
		if err := tx.describeTable(ctx, &r.Tables[i], subject); err != nil {
			return err
		}
	}
	return tx.logEmptied(ctx, subject)
}

func (tx *Tx) describeTable(ctx context.Context, r *RecordTable, subject uuid.UUID) error {
	of, err := tx.db.schema.named([]string{r.Name})
	if err != nil {
		return err
	}
	t, d := of[0], tx.eng.Dialect()
	s := engine.Stmt{
		SQL: "SELECT count(*), COALESCE(sum(CASE WHEN " + t.leftOver() + " THEN 1 ELSE 0 END), 0) FROM " + t.qualified(d) +
			" WHERE " + t.ofTenant(d),
		Args: []any{tx.scope.Tenant}, Rows: 1,
	}
	if subject != uuid.Nil {
		s.SQL, s.Args = s.SQL+" AND "+quote(t.cols[t.subject].name)+" = $2", append(s.Args, subject)
	}
	var left int64
	_, err = tx.eng.Run(ctx, s, engine.Continue, func(row engine.Row) error { return row.Scan(&r.Rows, &left) })
	if err == nil && left > 0 {
		err = fmt.Errorf("%d rows: %w", left, ErrNotErased)
	}
	return wrap("look at", t.name, err)
}

// leftOver is true for a row in which an erasure has left something: a blind
// index, or text. What an erasure sets to another value, such as 0, cannot be told
// from what was there.
func (t *table) leftOver() string {
	parts := []string{"1 = 0"}
	for i := range t.cols {
		c := &t.cols[i]
		switch {
		case c.index != nil:
			parts = append(parts, quote(c.index.name)+" IS NOT NULL")
		case c.class != Personal:
		case c.empty() == nil:
			parts = append(parts, quote(c.name)+" IS NOT NULL")
		case c.empty() == "":
			parts = append(parts, "CAST("+quote(c.name)+" AS TEXT) <> ''")
		}
	}
	return strings.Join(parts, " OR ")
}

func (tx *Tx) logEmptied(ctx context.Context, subject uuid.UUID) error {
	teller, ok := tx.db.log.(ErasureTeller)
	if !ok {
		return nil
	}
	holds, err := teller.Holds(ctx, tx, subject)
	if err == nil && holds {
		err = fmt.Errorf("log: %w", ErrNotErased)
	}
	return err
}

// signRecord adds the horizon, which follows from the time of the erasure, and
// signs.
func (db *DB) signRecord(r *ErasureRecord, key ed25519.PrivateKey) (*SignedErasureRecord, error) {
	if r.ReplayedAt.Before(r.ErasedAt) {
		r.ReplayedAt = time.Time{}
	}
	horizon, err := db.keys.Horizon(r.destroyed())
	if err != nil {
		return nil, err
	}
	r.Horizon = horizon.UTC().Truncate(time.Microsecond)
	return r.sign(key)
}

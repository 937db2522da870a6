package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// DestroyRetired destroys the retired versions of the context tenant's keys that
// nothing uses any more: those of its data subjects, of its index key and of its
// key encryption key. The tenant's own data key is never touched, since other
// packages seal with it too. What was sealed with a destroyed version, in a
// backup for example, cannot be opened again.
//
// A data subject's version goes when no cell of the tables, no part of the log
// and no ciphertext of the places elsewhere names it, counted while writers are
// held off, for the length of the count; it waits for those that are under way
// until ctx ends. The caller must name every other place that keeps ciphertexts
// of its own, such as attachments. A version of the index key goes when a look at
// all index values, begun after writers were waited for, finds none but those of
// the version that is written. The keystore refuses whatever was retired less
// than its grace ago: that is counted as waiting, and destroyed by a later call.
//
// It needs an actor and leaves an event "keys.destroy" before the first version
// is destroyed and one with the figures at the end. After an error it must be
// repeated until it returns nil; repeating it is always safe.
func (db *DB) DestroyRetired(ctx context.Context, elsewhere ...SealedCounter) (r KeyReport, err error) {
	ctx, done := db.tel.span(ctx, "tenancy.DestroyRetired")
	defer func() { done(err) }()
	scope, err := db.keyScope(ctx, "destroy retired keys")
	if err != nil {
		return r, err
	}
	if slices.ContainsFunc(elsewhere, func(c SealedCounter) bool { return required("", c) != nil }) {
		return r, errors.New("tenancy: destroy retired keys: a place elsewhere is nil")
	}
	p, err := db.newPass(ctx, scope, &ResealOptions{DryRun: true})
	if err != nil {
		return r, err
	}
	d := &destruction{pass: p, places: p.counters(elsewhere)}
	if err := d.look(ctx); err != nil || p.report.Retired == (RetiredKeys{}) {
		return p.report, err
	}
	if err := db.noteKeys(ctx, scope, "keys.destroy", "begun"); err != nil {
		return p.report, err
	}
	detail := "ended"
	if err = d.destroy(ctx); err != nil {
		detail = "interrupted"
	}
	figures := p.report.figures()
	return p.report, errors.Join(err, db.noteKeys(context.WithoutCancel(ctx), scope, "keys.destroy", detail, figures...))
}

// destruction is one run of [DB.DestroyRetired].
type destruction struct {
	*pass

	places []place
}

// peopleAtOnce is how many data subjects' versions are counted under one lock.
const peopleAtOnce = 5000

// look counts everything before anything is destroyed. Writers are waited for
// before the index values are compared: what they write later they write with the
// version that is written, since the others are retired for longer than any of
// them remembers.
func (d *destruction) look(ctx context.Context) error {
	d.compute = d.report.Retired.Index > 0
	if d.compute {
		if err := d.alone(ctx, nil); err != nil {
			return err
		}
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	return d.elsewhere(ctx, d.places)
}

func (d *destruction) destroy(ctx context.Context) error {
	for part := range slices.Chunk(d.retired.subjects, peopleAtOnce) {
		if err := d.people(ctx, part); err != nil {
			return err
		}
	}
	for _, v := range d.retired.others {
		if v.Kind == keyring.KEK || v.Kind == keyring.IndexKeys && d.indexesDone() {
			if err := d.give(ctx, v); err != nil {
				return err
			}
		}
	}
	return d.recount(ctx)
}

// give destroys versions that nobody needs. The keystore keeps those whose grace
// is not over, and a KEK by which a key is still wrapped.
func (d *destruction) give(ctx context.Context, list ...keyring.Version) error {
	if len(list) == 0 {
		return nil
	}
	err := d.db.keys.Destroy(ctx, d.scope.Tenant, list...)
	switch {
	case errors.Is(err, keyring.ErrInUse) && list[0].Kind == keyring.KEK:
		return nil
	case err != nil && !errors.Is(err, keyring.ErrTooEarly):
		return wrap("destroy", "retired keys", err)
	}
	d.report.Waiting += len(list)
	return nil
}

// recount tells how many of those that were given are gone.
func (d *destruction) recount(ctx context.Context) error {
	before := len(d.retired.subjects) + len(d.retired.others)
	left, err := d.db.retired(ctx, d.scope.Tenant)
	if err != nil {
		return err
	}
	d.report.Retired = left.count()
	d.report.Destroyed = max(before-len(left.subjects)-len(left.others), 0)
	d.report.Waiting = max(d.report.Waiting-d.report.Destroyed, 0)
	return nil
}

// indexesDone reports whether every index value is of the version that is
// written.
func (d *destruction) indexesDone() bool {
	for i := range d.report.Tables {
		for j := range d.report.Tables[i].Columns {
			x := d.report.Tables[i].Columns[j].Index
			if x != nil && (x.Undescribed || sum(x.Older)+x.Wrong+x.Unknown > 0) {
				return false
			}
		}
		if d.report.Tables[i].NoKey > 0 {
			return false
		}
	}
	return d.report.Indexed
}

// people destroys those versions of data subjects' keys that nothing names.
func (d *destruction) people(ctx context.Context, part []subjectVersion) error {
	var subjects []uuid.UUID
	for i, v := range part {
		if i == 0 || v.subject != part[i-1].subject {
			subjects = append(subjects, v.subject)
		}
	}
	var used map[subjectVersion]bool
	err := d.alone(ctx, func(ctx context.Context, tx *Tx) (err error) {
		used, err = d.used(ctx, tx, subjects)
		return err
	})
	if err != nil {
		return err
	}
	var free []keyring.Version
	for _, v := range part {
		if !used[v] {
			free = append(free, keyring.Version{Kind: keyring.SubjectKeys, Subject: v.subject, Version: v.version})
		}
	}
	return d.give(ctx, free...)
}

// used tells which versions of the subjects' keys somebody needs. The places
// count first: whoever writes takes the log before a table, and would else wait
// for this transaction while it waits for him.
func (d *destruction) used(ctx context.Context, tx *Tx, subjects []uuid.UUID) (map[subjectVersion]bool, error) {
	used := map[subjectVersion]bool{}
	for _, place := range d.places {
		err := place.counter.CountSealed(ctx, tx, subjects, func(subject uuid.UUID, version uint32, n int) {
			if n > 0 {
				used[subjectVersion{subject, version}] = true
			}
		})
		if err != nil {
			return nil, fmt.Errorf("tenancy: destroy retired keys: count in %s: %w", place.name, err)
		}
	}
	if err := tx.holdOff(ctx); err != nil {
		return nil, err
	}
	ids := make([]any, len(subjects))
	for i, s := range subjects {
		ids[i] = s
	}
	list, err := engine.List(tx.eng.Dialect(), ids)
	if err != nil {
		return nil, err
	}
	for _, t := range tx.db.schema {
		for _, s := range t.describe().usedTexts(tx, list) {
			if err := tx.countUsed(ctx, s, used); err != nil {
				return nil, wrap("count", "cells", err)
			}
		}
	}
	return used, nil
}

// countUsed runs one statement of usedTexts.
func (tx *Tx) countUsed(ctx context.Context, s engine.Stmt, used map[subjectVersion]bool) error {
	_, err := tx.eng.Run(ctx, s, engine.Continue, func(r engine.Row) error {
		var subject string
		c := cellHead{size: field.Overhead}
		if err := r.Scan(&subject, &c.first); err != nil {
			return err
		}
		if version, ok := c.version(); ok {
			used[subjectVersion{parseOrNil(subject), version}] = true
		}
		return nil
	})
	return err
}

// usedTexts select which versions of the subjects' keys the cells of the table
// name, a statement for each column. The subjects are a list of [engine.List].
func (t *table) usedTexts(tx *Tx, subjects string) []engine.Stmt {
	if t.subject < 0 {
		return nil
	}
	d := tx.eng.Dialect()
	subject := quote(t.cols[t.subject].name)
	var all []engine.Stmt
	for _, c := range t.sealedColumns() {
		cell := bytesOf(d, quote(c.name))
		first, length := "substring("+cell+" FROM 1 FOR 5)", "octet_length("+cell+")"
		if d == migrate.SQLite {
			first, length = "substr("+cell+", 1, 5)", "length("+cell+")"
		}
		all = append(all, engine.Stmt{
			SQL: "SELECT DISTINCT CAST(" + subject + " AS TEXT), " + first + " FROM " + t.qualified(d) + " WHERE " + t.ofTenant(d) +
				" AND " + subject + fmt.Sprintf(oneOfList(d, uuid.Nil), "$2") + " AND " + length + " >= $3",
			Args: []any{tx.scope.Tenant, subjects, int64(field.Overhead)},
		})
	}
	return all
}

// The wait for writers: how long others may queue behind it at a time, shorter
// than it takes the server to look for a deadlock (1 s), so that it is this
// transaction that gives way; and the pauses between.
const (
	holdPatience = "SET LOCAL lock_timeout = '100ms'"
	firstPause   = 20 * time.Millisecond
	longestPause = 5 * time.Second
)

// alone runs fn in a transaction that has waited for all writers of tables with
// encrypted columns, and holds them off until it ends. Without fn it waits only.
func (p *pass) alone(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if fn == nil {
		fn = func(ctx context.Context, tx *Tx) error { return tx.holdOff(ctx) }
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		tx, err := p.db.begin(ctx, p.scope)
		if err != nil {
			return err
		}
		err = tx.do(ctx, func(ctx context.Context) error {
			if err := tx.patient(ctx); err != nil {
				return err
			}
			return fn(ctx, tx)
		})
		if !yielded(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// patient begins the transaction: in SQLite as the one writer.
func (tx *Tx) patient(ctx context.Context) error {
	s := engine.Stmt{SQL: holdPatience}
	if tx.eng.Dialect() == migrate.SQLite {
		s.SQL = "SELECT 1"
	}
	_, err := tx.eng.Run(ctx, s, engine.Continue, nil)
	return wrap("wait for", "writers", err)
}

// holdOff waits for the writers of all tables with encrypted columns.
func (tx *Tx) holdOff(ctx context.Context) error {
	if tx.eng.Dialect() == migrate.SQLite {
		return nil
	}
	var names []string
	for _, t := range tx.db.schema {
		if d := t.describe(); len(d.sealedColumns()) > 0 {
			names = append(names, d.qualified(migrate.Postgres))
		}
	}
	if len(names) == 0 {
		return nil
	}
	lock := engine.Stmt{SQL: "LOCK TABLE " + strings.Join(names, ", ") + " IN SHARE MODE"}
	_, err := tx.eng.Run(ctx, lock, engine.Continue, nil)
	return wrap("wait for", "writers", err)
}

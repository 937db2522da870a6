package tenancy

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
)

// The bounds of what a run holds in memory and of how long it keeps others
// waiting.
const (
	surveyRows = 1000    // rows whose headers are read at once
	chunkRows  = 500     // rows that are decrypted and written at once
	chunkBytes = 4 << 20 // of their cells; a larger row comes alone
	laterRows  = 10_000  // overtaken rows of a table that are remembered
	attempts   = 3       // how often an overtaken row is tried
)

// pass is one walk through all tables: a run, or a look.
type pass struct {
	db      *DB
	scope   engine.Scope
	write   bool               // seal anew what is not current
	compute bool               // open the cells and compare the index values
	indexes []keyring.IndexKey // that which is written first
	retired retired
	tell    func(ResealProgress)
	of      int
	seen    int
	report  KeyReport
}

func (db *DB) newPass(ctx context.Context, scope engine.Scope, o *ResealOptions) (*pass, error) {
	p := &pass{db: db, scope: scope, write: !o.DryRun, tell: o.Progress}
	var err error
	if p.retired, err = db.retired(ctx, scope.Tenant); err != nil {
		return nil, err
	}
	if p.indexes, err = db.keys.IndexKeys(ctx, scope.Tenant); err != nil {
		return nil, wrap("read", "index key", err)
	}
	p.chooseIndex()
	p.compute = o.Indexes || o.DryRun || len(p.indexes) > 1
	p.report.IndexVersions, p.report.Retired = len(p.indexes), p.retired.count()
	return p, nil
}

// chooseIndex puts the version first that is written by whoever reads the
// keystore now: with one that it remembers a run would undo what others do.
func (p *pass) chooseIndex() {
	rank := func(k keyring.IndexKey) int {
		if p.retired.of(keyring.IndexKeys, k.Version) {
			return 1
		}
		return 0
	}
	slices.SortFunc(p.indexes, func(a, b keyring.IndexKey) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Version, b.Version))
	})
}

// run looks at every row of every table with encrypted columns.
func (p *pass) run(ctx context.Context) error {
	p.report.Indexed = p.compute
	tables, err := p.tables()
	if err != nil {
		return err
	}
	if p.tell != nil {
		for _, t := range tables {
			n, err := p.count(ctx, t)
			if err != nil {
				return err
			}
			p.of += n
		}
	}
	for _, t := range tables {
		if err := t.run(ctx); err != nil {
			return wrap("go through", t.t.name, err)
		}
	}
	return nil
}

// tables readies those with encrypted columns, and their places in the report.
func (p *pass) tables() ([]*tablePass, error) {
	var all []*tablePass
	for _, t := range p.db.schema {
		tp, keys, err := p.table(t.describe())
		if err != nil {
			return nil, err
		}
		if len(tp.cols) > 0 {
			p.report.Tables, all = append(p.report.Tables, keys), append(all, tp)
		}
	}
	for i, t := range all {
		t.out = &p.report.Tables[i]
	}
	return all, nil
}

func (p *pass) table(t *table) (*tablePass, TableKeys, error) {
	tp, keys := &tablePass{p: p, t: t}, TableKeys{Table: t.name}
	for _, c := range t.sealedColumns() {
		s, k := sealedColumn{c: c}, ColumnKeys{Column: c.name, Older: map[uint32]int{}}
		if x := c.index; x != nil {
			k.Index = &IndexKeys{Column: x.name, Undescribed: !x.described(), Older: map[uint32]int{}}
			if p.compute && x.described() {
				var err error
				if s.sums, err = t.indexes(c, p.indexes); err != nil {
					return nil, keys, wrap("compute", "index of "+t.name+"."+c.name, err)
				}
			}
		}
		tp.cols, keys.Columns = append(tp.cols, s), append(keys.Columns, k)
	}
	tp.texts = t.resealTexts(p.db.eng.Dialect())
	return tp, keys, nil
}

// query runs one reading statement by itself.
func (p *pass) query(ctx context.Context, s engine.Stmt, row func(engine.Row) error) error {
	tx, err := p.db.begin(ctx, p.scope)
	if err != nil {
		return err
	}
	_, err = tx.eng.Run(ctx, s, engine.Commit, row)
	return err
}

func (p *pass) count(ctx context.Context, t *tablePass) (n int, err error) {
	s := engine.Stmt{SQL: t.texts.count, Args: []any{p.scope.Tenant}}
	return n, wrap("count", t.t.name, p.query(ctx, s, func(r engine.Row) error { return r.Scan(&n) }))
}

// progress tells the figures after a page.
func (p *pass) progress(table string, rows int) {
	p.seen += rows
	if p.tell != nil {
		p.tell(ResealProgress{
			Table: table, Rows: p.seen, Of: max(p.of, p.seen),
			Resealed: p.report.Resealed, Reindexed: p.report.Reindexed,
		})
	}
}

// ciphers are the keys of the people of one page.
type ciphers struct {
	own *field.Cipher // of a table that is about nobody
	of  map[uuid.UUID]*field.Cipher
}

// get gives the key of a row: nil and true if it was destroyed, nil and false if
// there is none.
func (c *ciphers) get(subject uuid.UUID) (cipher *field.Cipher, known bool) {
	if c.own != nil {
		return c.own, true
	}
	cipher, known = c.of[subject]
	return cipher, known
}

// ciphers reads the keys of the people in one round trip. A damaged one is as
// good as missing, and does not keep the others from being read.
func (t *tablePass) ciphers(ctx context.Context, subjects map[uuid.UUID]bool) (c ciphers, err error) {
	tenant := t.p.scope.Tenant
	if t.t.subject < 0 {
		c.own, err = t.p.db.keys.TenantCipher(ctx, tenant)
		return c, err
	}
	all := make([]uuid.UUID, 0, len(subjects))
	for s := range subjects {
		all = append(all, s)
	}
	c.of, err = t.p.db.keys.Ciphers(ctx, tenant, all)
	if !errors.Is(err, keyring.ErrDamaged) || len(all) == 0 {
		return c, err
	}
	c.of = make(map[uuid.UUID]*field.Cipher, len(all))
	for _, s := range all {
		one, err := t.p.db.keys.Ciphers(ctx, tenant, []uuid.UUID{s})
		if err != nil && !errors.Is(err, keyring.ErrDamaged) {
			return c, err
		}
		if cipher, known := one[s]; known {
			c.of[s] = cipher
		}
	}
	return c, nil
}

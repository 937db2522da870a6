package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// operate does one random thing.
func (m *resident) operate() {
	m.ops.Add(1)
	ctx := m.ctx
	if rand.IntN(12) == 0 { // and changes its mind
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(int(30*time.Millisecond))))
		defer cancel()
	}
	if len(m.sure) == 0 {
		m.insert(ctx)
		return
	}
	ops := []func(context.Context){
		m.get, m.get, m.list, m.page, m.count, m.where, m.insert, m.insertAll, m.edit, m.edit, m.upsert, m.remove, m.in, m.in, m.inSQL, m.inSQL, m.inSQL,
	}
	ops[rand.IntN(len(ops))](ctx)
}

// judge counts an outcome, and looks at the words of an error.
func (m *resident) judge(what string, err error, expected ...error) {
	if err != nil {
		m.own(fmt.Sprintf("%v %+v", err, err))
	}
	switch {
	case err == nil:
		m.done.Add(1)
	case errors.Is(err, tenancy.ErrUnknownOutcome):
		m.unknown.Add(1)
	case errors.Is(err, tenancy.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		m.lost.Add(1)
	case slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) }):
		m.refused.Add(1)
	default:
		m.Errorf("%s: %s: %v", m.canary, what, err)
	}
}

func (m *resident) any() (uuid.UUID, *known) {
	id := m.sure[rand.IntN(len(m.sure))]
	return id, m.rows[id]
}

func (m *resident) forget(id uuid.UUID) {
	m.sure = slices.DeleteFunc(m.sure, func(x uuid.UUID) bool { return x == id })
}

// wrote takes down the attempt to insert a row.
func (m *resident) wrote(id uuid.UUID, err error) {
	m.rows[id].inserted.note(err)
	if err == nil {
		m.sure = append(m.sure, id)
	}
}

func (m *resident) read(what string, err error) {
	m.reads.Add(1)
	m.judge(what, err)
	if errors.Is(err, tenancy.ErrUnknownOutcome) {
		m.Errorf("%s: a read has an outcome that nobody knows: %v", what, err)
	}
}

func (m *resident) get(ctx context.Context) {
	id, _ := m.any()
	row, err := customers.Get(ctx, m.chaos, id)
	if err == nil {
		m.check(&row)
	}
	m.read("get", err)
}

func (m *resident) list(ctx context.Context) {
	var err error
	for row, rerr := range customers.List(ctx, m.chaos, customerEmail.Eq(m.canary+"@example.org"), tenancy.Limit(20)) {
		if err = rerr; err != nil {
			break
		}
		m.check(&row)
	}
	m.read("list", err)
}

func (m *resident) page(ctx context.Context) {
	p, err := customers.Page(ctx, m.chaos, "", customerPlan.Asc(), tenancy.Limit(5))
	if err == nil && p.Next != "" {
		var more tenancy.Page[customer]
		more, err = customers.Page(ctx, m.chaos, p.Next, customerPlan.Asc(), tenancy.Limit(5))
		p.Rows = append(p.Rows, more.Rows...)
	}
	for i := range p.Rows {
		m.check(&p.Rows[i])
	}
	m.read("page", err)
}

func (m *resident) count(ctx context.Context) {
	n, err := customers.Count(ctx, m.chaos)
	if err == nil && (n < len(m.sure) || n > len(m.rows)) {
		m.Errorf("%s: count %d, want %d to %d", m.canary, n, len(m.sure), len(m.rows))
	}
	m.read("count", err)
}

func (m *resident) where(ctx context.Context) {
	var err error
	for row, rerr := range customers.List(ctx, m.chaos, tenancy.Where("plan = $1 OR city LIKE 'kanarie%'", "p1"), tenancy.Limit(10)) {
		if err = rerr; err != nil {
			break
		}
		m.check(&row)
	}
	m.read("where", err)
}

func (m *resident) insert(ctx context.Context) {
	row, _ := m.fresh()
	err := customers.Insert(ctx, m.chaos, row)
	m.wrote(row.ID, err)
	m.judge("insert", err)
}

func (m *resident) insertAll(ctx context.Context) {
	rows := make([]customer, 3)
	for i := range rows {
		row, _ := m.fresh()
		rows[i] = *row
	}
	err := customers.InsertAll(ctx, m.chaos, rows)
	for i := range rows {
		m.wrote(rows[i].ID, err)
	}
	m.judge("insert all", err)
}

func (m *resident) edit(ctx context.Context) {
	id, k := m.any()
	err := customers.Edit(ctx, m.chaos, id, visit)
	k.updated.note(err)
	m.judge("edit", err)
}

func (m *resident) upsert(ctx context.Context) {
	row, _ := m.fresh()
	id, k := m.any()
	if k.updated.least != k.updated.most { // its number is not known
		err := customers.Upsert(ctx, m.chaos, row)
		m.wrote(row.ID, err)
		m.judge("upsert, new", err)
		return
	}
	delete(m.rows, row.ID)
	row.ID = id
	row.Visits = int32(k.updated.least + 1)
	err := customers.Upsert(ctx, m.chaos, row)
	k.updated.note(err)
	m.judge("upsert", err)
}

func (m *resident) remove(ctx context.Context) {
	id, k := m.any()
	err := customers.Delete(ctx, m.chaos, id)
	k.deleted.note(err)
	if err == nil || errors.Is(err, tenancy.ErrUnknownOutcome) {
		m.forget(id)
	}
	m.judge("delete", err)
}

// in writes twice in one transaction, which may end by an error or a panic.
func (m *resident) in(ctx context.Context) {
	id, k := m.any()
	row, _ := m.fresh()
	err := recovered(func() error {
		return m.chaos.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			if err := customers.Edit(ctx, tx, id, visit); err != nil {
				return err
			}
			if err := customers.Insert(ctx, tx, row); err != nil {
				return err
			}
			return ending()
		})
	})
	k.updated.note(err)
	m.wrote(row.ID, err)
	m.judge("in", err, errStop)
}

// ending is how what callers do ends: well, with an error, or with a panic.
func ending() error {
	switch rand.IntN(6) {
	case 0:
		return errStop
	case 1:
		panic(errStop)
	}
	return nil
}

func recovered(do func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = errStop
		}
	}()
	return do()
}

// residue counts what sessions keep.
const residue = `SELECT (SELECT count(*) FROM pg_prepared_statements) + (SELECT count(*) FROM pg_cursors WHERE is_holdable)
	+ (SELECT count(*) FROM pg_listening_channels()) + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
	+ (coalesce(current_setting('app.canary', true), '') <> '')::int + (current_setting('statement_timeout') <> '0')::int
	+ (current_setting('search_path') LIKE '%pg_catalog%')::int`

// hostile are statements that leave something behind, are refused, or fail. $ stands
// for the canary.
var hostile = []string{
	"SET app.canary = '$'", "SELECT set_config('app.canary', '$', false)", "SET statement_timeout = '5s'", "SET search_path = pg_catalog, public",
	"PREPARE mine AS SELECT '$'", "DECLARE c CURSOR WITH HOLD FOR SELECT city, '$' FROM customers", "LISTEN kanarien",
	"SELECT pg_try_advisory_lock_shared(42)", "SELECT set_config('art32.ctx', current_setting('art32.ctx'), false)",
	"SET timezone = 'Asia/Tokyo'", "SET datestyle = 'SQL, DMY'", "SET application_name = '$'",
	"CREATE TEMP TABLE customers (city text)", "SELECT id FROM art32.tenants", "SELECT '$'::int", "SELECT city::int FROM customers",
	"EXECUTE mine", "COMMIT", "SELECT 1 / 0", "SET ROLE art32_app",
}

// inSQL runs text of a caller's who is up to no good.
func (m *resident) inSQL(ctx context.Context) {
	err := recovered(func() error { return m.chaos.InSQL(ctx, m.misuse) })
	m.raw.note(err)
	m.judge("in sql", err, errStop, tenancy.ErrForbidden, errMishap)
}

// errMishap is what a caller makes of a statement of its own that failed.
var errMishap = errors.New("mishap")

func (m *resident) misuse(ctx context.Context, tx *tenancy.SQLTx) error {
	var n int
	var cities []string
	if err := tx.SQLX().GetContext(ctx, &n, residue); err != nil {
		return err
	}
	if n != 0 {
		m.Errorf("%s meets what another has left", m.canary)
	}
	if err := tx.SQLX().SelectContext(ctx, &cities, "SELECT city FROM customers LIMIT 30"); err != nil {
		return err
	}
	for _, city := range cities {
		m.own(city)
	}
	if _, err := tx.SQLX().ExecContext(ctx, "UPDATE tallies SET n = n + 1"); err != nil {
		return err
	}
	for range rand.IntN(3) {
		text := hostile[rand.IntN(len(hostile))]
		_, err := tx.SQLX().ExecContext(ctx, replaceCanary(text, m.canary))
		if err == nil {
			continue
		}
		m.own(err.Error())
		if errors.Is(err, tenancy.ErrForbidden) || errors.Is(err, tenancy.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		return errMishap
	}
	return ending()
}

func replaceCanary(text, canary string) string { return strings.ReplaceAll(text, "$", canary) }

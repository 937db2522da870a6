package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
)

// PlanOptions adjusts [Plan]. Tables are named as "customers", for schema public, or
// "billing.invoices"; a name that the database does not have is an error. Nil and
// zero fields mean the defaults.
type PlanOptions struct {
	// Tenants names the tenant's column of tables for which nothing else tells it.
	// Default: as the schema declares it, else as a policy names it, else the one
	// column of type uuid whose name speaks of a tenant, else the tenant of the row
	// that a foreign key refers to, for which a column tenant_id is added.
	Tenants map[string]string
	// Shared are tables that belong to no tenant although they look like it.
	Shared []string
	// Only limits the plan to these tables, so that they are carried over one at a
	// time. A foreign key is made whole with the second of its tables. Default: all.
	Only []string
	// UnsafeWatch is the login of an older application, for which tables that were
	// never protected stay open and are watched: see art32.unsafe_watch. Those that
	// were protected stay so. Default: none; tables that are watched are closed.
	UnsafeWatch string
}

// Migration is what is left to do until a database keeps tenants apart, in an order
// in which it can be done: text for people to review and to run.
type Migration struct {
	// Stages are transactions, each after those before it. Empty when nothing is left.
	Stages []Stage
	// Open are the things that a person must decide or do by other means.
	Open []Finding
}

// Stage is one transaction of a [Migration].
type Stage struct {
	Name string // what it is about, one word: a part of a file's name
	SQL  string // statements with comments; no BEGIN and no COMMIT
	// ByHand says that it needs the rights of a superuser or of the roles that own
	// the tables now, so that [Migrate] cannot run it.
	ByHand bool
}

// Plan compares the live catalogue with the declared tables (schema, or nil) and
// writes what is missing for [Open] not to refuse them: the tenant's column, NOT
// NULL and known to art32.tenants; unique, exclusion and foreign keys that begin
// with the tenant; views that read with the rights of who asks; policies, for each
// partition too. What stands yields nothing, and what was dropped or altered its
// repair, so that after the migration the next plan is empty. It reads names and
// sizes, and no row. ownerDSN is a login that sees all tables, best the one that
// [Setup] is given.
//
// Nothing of it locks a table for writing for long, but for the filling of a new
// column and indexes: beside each index stands the statement that builds it
// concurrently, to be run before where the table is large.
//
// A primary key that is one uuid stays as it is; Open accepts it.
func Plan(ctx context.Context, ownerDSN string, schema tenancy.Schema, o *PlanOptions) (*Migration, error) {
	if o == nil {
		o = &PlanOptions{}
	}
	s, err := connectOwner(ctx, ownerDSN)
	if err != nil {
		return nil, err
	}
	defer s.close()
	c, err := s.catalogue(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres: plan: read the catalogue: %w", translate(err, false))
	}
	p := &planner{catalogue: c, o: o, owner: s.role("owner"), database: s.database}
	if err := p.choose(schema); err != nil {
		return nil, err
	}
	return p.migration(), nil
}

// Empty reports whether nothing is left to do or to decide.
func (m *Migration) Empty() bool { return len(m.Stages) == 0 && len(m.Open) == 0 }

// String is the migration as one script for psql, and what is open in comments.
func (m *Migration) String() string {
	var b strings.Builder
	for _, f := range m.Open {
		b.WriteString(remark("Open: " + f.What + "; mend: " + f.Mend))
	}
	for _, s := range m.Stages {
		fmt.Fprintf(&b, "\n-- Stage %s%s\nBEGIN;\n%sCOMMIT;\n", s.Name, map[bool]string{true: ", by hand: as superuser"}[s.ByHand], s.SQL)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// remark is text as comments, whatever names stand in it.
func remark(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString("-- " + strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, line) + "\n")
	}
	return b.String()
}

// The stages, in their order.
const (
	logins = iota
	owners
	columns
	filled
	indexes
	keysStage
	checked
	apart
	stages
)

// about says for each stage what it is called and what it does.
//
//nolint:gochecknoglobals // a table of constants
var about = [stages]struct{ name, text string }{
	logins:    {"logins", "Setup takes the database and schema public from everybody: logins that work with the tables need rights of their own before."},
	owners:    {"owners", "Tables belong to the role that Migrate works as, and no longer to a login. Who owned them keeps the rights to read and write."},
	columns:   {"columns", "New columns. From here on whoever writes a row must name its tenant."},
	filled:    {"filled", "Each row has a tenant that is known. This reads each table once and locks no writer out."},
	indexes:   {"indexes", "An index locks writers out while it is built. For a large table run the CONCURRENTLY line before, by itself."},
	keysStage: {"keys", "Keys begin with the tenant. Statements with ON CONFLICT must name the new columns. Constraints that are NOT VALID hold for new rows; the next stage looks at the others."},
	checked:   {"checked", "The rows that were there. This reads each table once and locks no writer out."},
	apart:     {"apart", "Protection. From here on the logins of the library see the rows of one tenant."},
}

// planner gathers the statements.
type planner struct {
	*catalogue

	o               *PlanOptions
	owner, database string
	texts           [stages][]string
	open            []Finding
	chosen          []*tableState // in the order of their names, parents first
}

// say adds a statement to a stage once, with a remark before it.
func (p *planner) say(stage int, why, text string) {
	if why != "" {
		text = remark(why) + text
	}
	if text += ";\n"; !slices.Contains(p.texts[stage], text) {
		p.texts[stage] = append(p.texts[stage], text)
	}
}

func (p *planner) leave(what, mend string) { p.open = append(p.open, Finding{What: what, Mend: mend}) }

// migration writes the statements for all tables that were chosen.
func (p *planner) migration() *Migration {
	if !p.ready {
		p.leave("the database is not prepared", "run stage logins, then art32 init (postgres.Setup), then plan again: what follows is what that will show")
	}
	for _, t := range p.chosen {
		p.rights(t)
		p.column(t)
	}
	p.keys()
	p.views()
	for _, t := range p.chosen {
		p.known(t)
		p.policies(t)
	}
	p.definers()
	m := &Migration{Open: p.open}
	for i, texts := range p.texts {
		if len(texts) > 0 {
			sql := remark(about[i].text) + "SET LOCAL lock_timeout = '5s'; -- rather than let others wait behind it\n" + strings.Join(texts, "")
			m.Stages = append(m.Stages, Stage{Name: about[i].name, SQL: sql, ByHand: i <= owners})
		}
	}
	return m
}

// rights gives a table to the owner's role, and keeps what others could do.
func (p *planner) rights(t *tableState) {
	for _, r := range t.roles {
		if unquote(r.name) == p.owner {
			continue
		}
		if !r.connects {
			p.say(logins, "", "GRANT CONNECT ON DATABASE "+ident(p.database)+" TO "+r.name)
		}
		if !r.enters {
			p.say(logins, "", "GRANT USAGE ON SCHEMA "+t.schema+" TO "+r.name)
		}
	}
	if t.owner == p.owner {
		return
	}
	if t.schema != "public" {
		p.say(owners, "", "GRANT USAGE, CREATE ON SCHEMA "+t.schema+" TO "+ident(p.owner))
	}
	p.say(owners, "", "ALTER TABLE "+t.name+" OWNER TO "+ident(p.owner))
	if !t.superOwned {
		p.say(owners, "", "GRANT SELECT, INSERT, UPDATE, DELETE ON "+t.name+" TO "+ident(t.owner))
		for _, q := range t.sequences {
			p.say(owners, "", "GRANT USAGE, SELECT ON SEQUENCE "+q.name+" TO "+ident(t.owner))
		}
	}
}

// choose finds the tables of tenants, and of them those that are to be planned.
func (p *planner) choose(schema tenancy.Schema) error {
	if err := p.named(); err != nil {
		return err
	}
	p.declared(schema)
	p.bind()
	for _, t := range p.sorted() {
		if t.tenant != "" && (len(p.o.Only) == 0 || slices.ContainsFunc(p.o.Only, p.top(t).is)) {
			p.chosen = append(p.chosen, t)
		}
	}
	return nil
}

// named checks the names of the options.
func (p *planner) named() error {
	names := slices.Concat(p.o.Only, p.o.Shared)
	for name := range p.o.Tenants {
		names = append(names, name)
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names {
		if p.table(name) == nil {
			errs = append(errs, fmt.Errorf("postgres: plan: no table is called %q", name))
		}
	}
	return errors.Join(errs...)
}

// catalogue reads what there is in one transaction that cannot write.
func (s *setup) catalogue(ctx context.Context) (c *catalogue, err error) {
	tx, err := s.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if _, err := tx.ExecContext(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return nil, err
	}
	return readCatalogue(ctx, tx)
}

package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/art32/art32/internal/guess"
	"github.com/art32/art32/tenancy"
)

// tenantColumn is the name of a column that a plan adds.
const tenantColumn = "tenant_id"

// declared looks for what the application declared.
func (p *planner) declared(schema tenancy.Schema) {
	for _, in := range schema.Info() {
		t := p.table(in.Name)
		if t == nil {
			p.leave("table "+in.Name+" is declared and not there", "write the migration that creates it; postgres.CreateTable begins it")
			continue
		}
		t.tenant = in.Tenant
		if t.added = t.numberOf(in.Tenant) == 0; t.added && in.Tenant != tenantColumn {
			p.leave("column "+in.Name+"."+in.Tenant+" is declared and not there", "write the migration that adds and fills it")
			t.tenant = ""
		}
		if len(p.o.Only) > 0 && !slices.ContainsFunc(p.o.Only, t.is) {
			continue
		}
		for _, c := range in.Columns {
			p.field(t, in, c)
		}
	}
}

// field adds what an encrypted column needs.
func (p *planner) field(t *tableState, in tenancy.TableInfo, c tenancy.ColumnInfo) {
	at := t.columns[t.numberOf(c.Name)]
	switch {
	case at == nil && c.Class == tenancy.Encrypted:
		p.say(columns, "", "ALTER TABLE "+t.name+" ADD COLUMN IF NOT EXISTS "+c.Name+" bytea")
	case at == nil && c.Name != in.Tenant:
		p.leave("column "+in.Name+"."+c.Name+" is declared and not there", "write the migration that adds it")
	case at != nil && c.Class == tenancy.Encrypted && at.typ != "bytea":
		p.leave(fmt.Sprintf("column %s.%s is declared encrypted and is of type %s", in.Name, c.Name, at.typ),
			"art32 scaffold prints the migration that makes it bytea; the tag plaintext=DATE reads its rows until they are sealed")
	}
	if c.Index != "" && t.numberOf(c.Index) == 0 {
		p.say(columns, "", "ALTER TABLE "+t.name+" ADD COLUMN IF NOT EXISTS "+c.Index+" bytea")
		unique := map[bool]string{true: "UNIQUE "}[c.Unique]
		p.index(t, unique, short(strings.ReplaceAll(in.Name, ".", "_")+"_"+c.Index), in.Tenant+", "+c.Index+")")
	}
}

// bind finds the column of the tenant of each table.
func (p *planner) bind() {
	for name, column := range p.o.Tenants {
		t := p.table(name)
		t.tenant = t.quoted(column)
		t.added = t.tenant == "" && column == tenantColumn
		if t.added {
			t.tenant = tenantColumn
		} else if t.tenant == "" {
			p.leave("table "+t.name+" has no column "+column, "name another one, or write the migration that adds and fills it")
		}
	}
	for _, t := range p.sorted() {
		if t.tenant == "" && t.parent == 0 {
			t.tenant = p.guessed(t)
		}
	}
	for p.inherit() {
	}
	for _, t := range p.sorted() {
		if slices.ContainsFunc(p.o.Shared, t.is) {
			t.tenant = ""
		}
		if top := p.top(t); top != t {
			t.tenant = top.tenant
		}
		if n := t.numberOf(t.tenant); t.parent == 0 && t.tenant != "" && n != 0 && t.columns[n].typ != "uuid" {
			p.leave(fmt.Sprintf("table %s names its tenant by %s of type %s, and a tenant's id is a uuid", t.name, t.tenant, t.columns[n].typ),
				"write the migration that adds a column of type uuid and fills it, then plan again")
			t.tenant = ""
		}
	}
}

// quoted is a column by its name as it is; "" where there is none.
func (t *tableState) quoted(plain string) string {
	for _, c := range t.columns {
		if c.plain == plain {
			return c.name
		}
	}
	return ""
}

// guessed is the tenant's column by a policy or by its name.
func (p *planner) guessed(t *tableState) string {
	if t.policyColumn != "" {
		return t.policyColumn
	}
	if c := t.quoted(tenantColumn); c != "" {
		return c
	}
	var uuids, others []string
	for n, c := range t.columns {
		switch {
		case !guess.Tenant(c.plain) || p.refersToOne(t, n):
		case c.typ == "uuid":
			uuids = append(uuids, c.name)
		default:
			others = append(others, c.name)
		}
	}
	switch {
	case len(uuids) == 1:
		return uuids[0]
	case len(uuids) > 1:
		slices.Sort(uuids)
		p.leave("table "+t.name+" has several columns that may name its tenant: "+strings.Join(uuids, ", "), "say which (--tenant), or that it is shared (--shared)")
	case len(others) == 1:
		return others[0]
	}
	return ""
}

// refersToOne reports whether a column refers to the row of a table that names its
// tenant itself: a customer_id does, where customers are those of a tenant.
func (p *planner) refersToOne(t *tableState, column int16) bool {
	return slices.ContainsFunc(p.foreigns, func(f *foreignState) bool {
		o := p.tables[f.refers]
		return f.table == t.id && slices.Contains(f.keys, column) && o != nil && slices.ContainsFunc(slices.Collect(maps.Values(o.columns)),
			func(c *columnState) bool { return guess.Tenant(c.plain) })
	})
}

// inherit gives the tenant to tables that refer to rows of a tenant, and reports
// whether it found one. What the tenant's column itself refers to is the
// application's own table of tenants, and no table of a tenant.
func (p *planner) inherit() (found bool) {
	for _, f := range p.foreigns {
		t, o := p.tables[f.table], p.tables[f.refers]
		if t == o || o == nil || o.tenant == "" || t.tenant != "" || t.parent != 0 || len(f.keys) != 1 || p.ofTenants(t) ||
			slices.ContainsFunc(p.o.Shared, t.is) || slices.ContainsFunc(p.o.Shared, o.is) {
			continue
		}
		t.tenant, t.added, t.via = tenantColumn, true, f
		found = true
	}
	return found
}

// ofTenants reports whether the tenant's column of any table refers to t.
func (p *planner) ofTenants(t *tableState) bool {
	return slices.ContainsFunc(p.foreigns, func(f *foreignState) bool {
		o := p.tables[f.table]
		return f.refers == t.id && o.tenant != "" && len(f.keys) == 1 && o.columns[f.keys[0]].name == o.tenant
	})
}

// column adds the tenant's column where there is none, and makes it NOT NULL.
func (p *planner) column(t *tableState) {
	if t.parent != 0 {
		return
	}
	if t.added {
		p.fill(t)
	}
	if c := t.columns[t.numberOf(t.tenant)]; c != nil && c.notNull {
		return
	}
	// The check spares SET NOT NULL the search under its lock.
	check := quoteName(short(t.bare() + "_tenant_art32"))
	p.say(columns, "", "ALTER TABLE "+t.name+" DROP CONSTRAINT IF EXISTS "+check+", ADD CONSTRAINT "+check+" CHECK ("+t.tenant+" IS NOT NULL) NOT VALID")
	p.say(filled, "", "ALTER TABLE "+t.name+" VALIDATE CONSTRAINT "+check)
	p.say(filled, "", "ALTER TABLE "+t.name+" ALTER COLUMN "+t.tenant+" SET NOT NULL, DROP CONSTRAINT "+check)
}

// fill takes the tenant from the row that a foreign key refers to.
func (p *planner) fill(t *tableState) {
	add := "ALTER TABLE " + t.name + " ADD COLUMN IF NOT EXISTS " + tenantColumn + " uuid"
	if t.via == nil {
		p.say(columns, "", add)
		p.leave("nothing says which tenant the rows of table "+t.name+" belong to", "fill "+t.name+"."+t.tenant+" between stages columns and filled")
		return
	}
	o := p.tables[t.via.refers]
	switch {
	case o.added && !slices.Contains(p.chosen, o):
		p.leave("the tenant of table "+t.name+" comes from table "+o.name+", which has none yet", "plan "+o.name+" first, or both together")
		return
	case o.added:
		p.column(o)
	}
	p.say(columns, "", add)
	p.say(columns, t.size()+". They stay locked until the end of this stage.",
		fmt.Sprintf("UPDATE %s AS t SET %s = o.%s FROM %s AS o WHERE o.%s = t.%s AND t.%s IS NULL", t.name, t.tenant, o.tenant, o.name,
			o.columns[t.via.refersTo[0]].name, t.columns[t.via.keys[0]].name, t.tenant))
}

// known makes the tenant of a table that is new to protection one of art32.tenants.
func (p *planner) known(t *tableState) {
	n := t.numberOf(t.tenant)
	if t.begun || t.parent != 0 || slices.ContainsFunc(p.foreigns, func(f *foreignState) bool {
		return f.table == t.id && f.refers == p.catalogue.known && p.catalogue.known != 0 && len(f.keys) == 1 && f.keys[0] == n
	}) {
		return
	}
	body := "BEGIN IF EXISTS (SELECT FROM (SELECT DISTINCT " + t.tenant + " AS id FROM " + t.name +
		") t WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM art32.tenants a WHERE a.id = t.id)) THEN\n\tRAISE EXCEPTION USING MESSAGE = " +
		literal("art32: rows of table "+t.name+" belong to tenants that nobody made: call tenancy.DB.CreateTenant with the id of each") + ";\nEND IF; END"
	p.say(filled, "", "DO "+dollar(body))
	name := quoteName(short(t.bare() + "_tenants_art32"))
	p.constrain(t, name, "FOREIGN KEY ("+t.tenant+") REFERENCES art32.tenants (id)", "")
}

// constrain adds a foreign key so that its rows are checked a stage later, where
// the server can.
func (p *planner) constrain(t *tableState, name, text, why string) {
	if t.partitioned { // there is no NOT VALID for one
		p.say(keysStage, why, "ALTER TABLE "+t.name+" ADD CONSTRAINT "+name+" "+text)
		return
	}
	p.say(keysStage, why, "ALTER TABLE "+t.name+" ADD CONSTRAINT "+name+" "+text+" NOT VALID")
	p.say(checked, "", "ALTER TABLE "+t.name+" VALIDATE CONSTRAINT "+name)
}

package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// keys lets keys of tenants' tables begin with the tenant.
func (p *planner) keys() {
	var renewed []*foreignState
	for _, f := range p.foreigns {
		if p.lacksTenant(f) {
			if f.odd {
				p.leave(fmt.Sprintf("foreign key %s of table %s leaves out the tenant and has ON UPDATE SET NULL or SET DEFAULT, which would touch the tenant too", f.name, p.tables[f.table].name),
					"drop it, or let it do something else ON UPDATE")
				continue
			}
			renewed = append(renewed, f)
		} else if t := p.tables[f.table]; !f.valid && slices.Contains(p.chosen, t) {
			p.say(checked, "", "ALTER TABLE "+t.name+" VALIDATE CONSTRAINT "+f.name)
		}
	}
	for _, f := range renewed { // a key that another refers to cannot be dropped
		p.say(keysStage, "", "ALTER TABLE "+p.tables[f.table].name+" DROP CONSTRAINT "+f.name)
	}
	made := map[string]bool{}
	for _, x := range p.indexes {
		p.unique(x, renewed, made)
	}
	for _, f := range renewed {
		p.refer(f, made)
	}
}

// isApart reports whether a table is of a tenant, and is or will be protected.
func (p *planner) isApart(t *tableState) bool {
	return t != nil && t.tenant != "" && (t.begun || slices.Contains(p.chosen, t))
}

func (p *planner) lacksTenant(f *foreignState) bool {
	t, o := p.tables[f.table], p.tables[f.refers]
	if !p.isApart(t) || !p.isApart(o) || !slices.Contains(p.chosen, t) && !slices.Contains(p.chosen, o) {
		return false
	}
	own, other := t.numberOf(t.tenant), o.numberOf(o.tenant)
	for i := range f.keys {
		if f.keys[i] == own && f.refersTo[i] == other {
			return false
		}
	}
	return true
}

// unique puts the tenant before the columns of a unique or exclusion constraint.
func (p *planner) unique(x *indexState, renewed []*foreignState, made map[string]bool) {
	t := p.tables[x.table]
	if !slices.Contains(p.chosen, t) {
		return
	}
	if !x.valid && x.kind == "" { // what CONCURRENTLY leaves where it fails
		p.say(columns, "It was never finished.", "DROP INDEX "+x.name)
		return
	}
	if x.oneUUID || slices.Contains(x.keys, t.numberOf(t.tenant)) && t.numberOf(t.tenant) != 0 {
		return
	}
	for _, f := range p.foreigns {
		if f.index == x.id && !slices.Contains(renewed, f) {
			p.leave(fmt.Sprintf("unique index %s of table %s leaves out the tenant, and foreign key %s of table %s needs it", x.name, t.name, f.name, p.tables[f.table].name),
				"plan both tables together, or change that key first")
			return
		}
	}
	p.replace(t, x)
	if x.whole && !slices.Contains(x.keys, 0) {
		made[t.name+" "+t.list(x.keys)] = true
	}
}

func (p *planner) replace(t *tableState, x *indexState) {
	kind := map[string]string{"p": "PRIMARY KEY", "u": "UNIQUE"}[x.kind]
	bare := strings.TrimPrefix(x.name, t.schema+".")
	next := quoteName(short(unquote(bare) + "_art32"))
	switch {
	case x.kind == "x":
		p.say(keysStage, "The index of a method other than btree needs CREATE EXTENSION btree_gist. Writers wait while it is built.",
			"ALTER TABLE "+t.name+" DROP CONSTRAINT "+x.constraint+", ADD CONSTRAINT "+x.constraint+" EXCLUDE "+x.using+t.tenant+" WITH =, "+x.rest)
	case x.kind != "" && t.partitioned:
		p.say(keysStage, "Writers wait while its indexes are built.",
			"ALTER TABLE "+t.name+" DROP CONSTRAINT "+x.constraint+", ADD CONSTRAINT "+x.constraint+" "+kind+" ("+t.tenant+", "+t.list(x.keys)+")"+x.deferrable)
	case x.kind != "":
		p.index(t, "UNIQUE ", next, t.tenant+", "+x.rest)
		p.say(keysStage, "", "ALTER TABLE "+t.name+" DROP CONSTRAINT "+x.constraint+", ADD CONSTRAINT "+x.constraint+" "+kind+" USING INDEX "+next+x.deferrable)
	default:
		p.index(t, "UNIQUE ", next, t.tenant+", "+x.rest)
		p.say(keysStage, "", "DROP INDEX "+x.name)
		p.say(keysStage, "", "ALTER INDEX "+t.schema+"."+next+" RENAME TO "+bare)
	}
}

// index builds an index; rest is its definition behind the opening parenthesis.
func (p *planner) index(t *tableState, unique, name, rest string) {
	text := " IF NOT EXISTS " + name + " ON " + t.name + " USING btree (" + rest
	why := ""
	if !t.partitioned {
		why = t.size() + ": CREATE " + unique + "INDEX CONCURRENTLY" + text + ";"
	}
	p.say(indexes, why, "CREATE "+unique+"INDEX"+text)
}

// refer lets a foreign key hold the tenant too.
func (p *planner) refer(f *foreignState, made map[string]bool) {
	t, o := p.tables[f.table], p.tables[f.refers]
	key := o.name + " " + o.list(f.refersTo)
	if !made[key] && !p.hasUnique(o, f.refersTo) {
		made[key] = true
		name := quoteName(short(o.bare() + "_" + strings.Join(p.plainNames(o, f.refersTo), "_") + "_art32"))
		p.index(o, "UNIQUE ", name, o.tenant+", "+o.list(f.refersTo)+")")
	}
	why := ""
	if f.full {
		why = "MATCH FULL cannot stay: the tenant is there also where the row refers to nothing."
	}
	p.constrain(t, f.name, fmt.Sprintf("FOREIGN KEY (%s, %s) REFERENCES %s (%s, %s)%s",
		t.tenant, t.list(f.keys), o.name, o.tenant, o.list(f.refersTo), f.tail), why)
}

// hasUnique reports whether a unique index of exactly the tenant and these columns
// is there.
func (p *planner) hasUnique(t *tableState, keys []int16) bool {
	want := append([]int16{t.numberOf(t.tenant)}, keys...)
	slices.Sort(want)
	return slices.ContainsFunc(p.indexes, func(x *indexState) bool {
		have := slices.Sorted(slices.Values(x.keys))
		return x.table == t.id && x.whole && slices.Equal(have, want)
	})
}

func (p *planner) plainNames(t *tableState, keys []int16) []string {
	names := make([]string, len(keys))
	for i, n := range keys {
		names[i] = t.columns[n].plain
	}
	return names
}

// size says how large a table is, as far as the server has counted.
func (t *tableState) size() string {
	if t.rows == 0 {
		return "A number of rows that ANALYZE has not told"
	}
	return fmt.Sprintf("About %d rows", t.rows)
}

// bare is the name of a table without its schema and without quotation marks.
func (t *tableState) bare() string {
	if t.schema == "public" {
		return t.plain
	}
	return strings.TrimPrefix(t.plain, unquote(t.schema)+".")
}

func unquote(name string) string {
	if inner, ok := strings.CutPrefix(name, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return name
}

// short cuts a name that is too long and marks it with a hash.
func short(name string) string {
	const most = 63 // bytes of a name in PostgreSQL
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := most - 9
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + "_" + hex.EncodeToString(sum[:4])
}

// plainName is one that needs no quotation marks. Those that a plan makes end in a
// word that no keyword ends in.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func quoteName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}

// dollar quotes a block, with marks that it does not hold.
func dollar(body string) string {
	mark := "$art32$"
	for strings.Contains(body, mark) {
		mark = mark[:len(mark)-1] + "_$"
	}
	return mark + " " + body + " " + mark
}

package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// attack is one statement of tenant A against what B has. In its text {table},
// {tenant}, {key} and {columns} stand for names, {A} and {B} for the tenants, {rowA}
// and {rowB} for the key of a row of theirs, and {copy} for a row of A that names B.
type attack struct {
	text   string
	before []string // run first in the same transaction
	// refused says that the database must refuse it; else it must hit no row, or be
	// refused.
	refused bool
	// library says that it is tried under the library's login, too.
	library bool
	// tells is the code of an error that shows that a row of B was reached.
	tells string
	// refuses is the code of another error by which it is refused.
	refuses string
}

func must(text string) attack { return attack{text: text, refused: true} }

func none(text string) attack { return attack{text: text} }

// both is tried under both logins.
func both(a attack) attack {
	a.library = true
	return a
}

// syntax is refused as one statement that is two.
func syntax(a attack) attack {
	a.refuses = "42601"
	return a
}

// tells is broken by an error, too.
func tells(a attack, code string) attack {
	a.tells = code
	return a
}

// after runs texts first.
func after(a attack, before ...string) attack {
	a.before = before
	return a
}

// onTables tries attacks on each table.
func onTables(attacks ...attack) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) (all []Result) {
		for _, t := range p.tables {
			all = append(all, p.onTable(ctx, t, attacks))
		}
		return all
	}
}

// onDatabase tries attacks that name no table.
func onDatabase(attacks ...attack) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) []Result {
		return []Result{p.judge(ctx, table{}, attacks)}
	}
}

// onTable tries attacks on a table. Where A or B has no row, nothing that comes out
// would say anything, unless the table cannot be reached at all.
func (p *prober) onTable(ctx context.Context, t table, attacks []attack) Result {
	if t.ofA == 0 || t.ofB == 0 {
		if _, err := p.caller(ctx, p.a, "SELECT count(*) FROM "+t.sql); kindOf(err) == engine.Forbidden {
			return Result{t.name, Held, Text{"it cannot be reached", "sie ist nicht erreichbar"}}
		}
		return notProbed(t.name, "one of the tenants has no row in it", "einer der Mandanten hat keine Zeile darin")
	}
	return p.judge(ctx, t, attacks)
}

// judge sums up attacks: broken where one is, held where one was tried and held.
func (p *prober) judge(ctx context.Context, t table, attacks []attack) Result {
	out := notProbed(t.name, "", "")
	stopped := map[string]int{}
	for _, a := range attacks {
		if t.key == "" && strings.Contains(a.text, "{key}") || t.conflict == "" && strings.Contains(a.text, "{conflict}") {
			continue
		}
		for _, login := range logins(a) {
			n, err := login.run(p)(ctx, p.a, t.fill(p, a)...)
			switch {
			case kindOf(err) == engine.Forbidden, err != nil && a.refuses == code(err), err == nil && n == 0 && !a.refused:
				out.State = Held
			case err != nil && (a.tells == "" || a.tells != code(err)):
				stopped[code(err)]++
			default:
				return broken(t.name, fmt.Sprintf("%s (%s): carried out, %d rows", a.text, login.name, n),
					fmt.Sprintf("%s (%s): ausgeführt, %d Zeilen", a.text, login.name, n))
			}
		}
	}
	out.What = told(stopped)
	return out
}

// told says why attacks did not reach what they attack.
func told(stopped map[string]int) (t Text) {
	n := 0
	var codes []string
	for c, times := range stopped {
		n, codes = n+times, append(codes, c)
	}
	if n == 0 {
		return t
	}
	slices.Sort(codes)
	list := strings.Join(codes, ", ")
	return Text{
		strconv.Itoa(n) + " attempts were stopped by something else: " + list,
		strconv.Itoa(n) + " Versuche hat etwas anderes beendet: " + list,
	}
}

// login is one of the two under which is tried.
type login struct {
	name string
	run  func(p *prober) func(context.Context, uuid.UUID, ...string) (int64, error)
}

func logins(a attack) []login {
	all := []login{{"app", func(p *prober) func(context.Context, uuid.UUID, ...string) (int64, error) { return p.caller }}}
	if a.library {
		all = append(all, login{"library", func(p *prober) func(context.Context, uuid.UUID, ...string) (int64, error) { return p.library }})
	}
	return all
}

// fill are the texts of an attack on a table.
func (t table) fill(p *prober, a attack) []string {
	fresh := literal(t.rowA)
	if t.uuidKey {
		fresh = "gen_random_uuid()"
	}
	copied := func(tenant uuid.UUID, key string) string {
		pairs := literal(unquote(t.tenant)) + ", '" + tenant.String() + "'"
		if t.key != "" {
			pairs += ", " + literal(unquote(t.key)) + ", " + key
		}
		return fmt.Sprintf("(SELECT (jsonb_populate_record(x, jsonb_build_object(%s))).* FROM %s x WHERE %s = '%s' LIMIT 1) c", pairs, t.sql, t.tenant, p.a)
	}
	r := strings.NewReplacer("{table}", t.sql, "{tenant}", t.tenant, "{key}", t.key, "{columns}", t.columns, "{conflict}", t.conflict,
		"{A}", p.a.String(), "{B}", p.b.String(), "{rowA}", inQuotes(t.rowA), "{rowB}", inQuotes(t.rowB), "{name}", inQuotes(t.name),
		"{values}", "c."+strings.ReplaceAll(t.columns, ", ", ", c."),
		"{copy}", copied(p.b, fresh), "{taken}", copied(p.b, literal(t.rowB)), "{again}", copied(p.a, fresh))
	var all []string
	for _, text := range append(slices.Clone(a.before), a.text) {
		all = append(all, r.Replace(text))
	}
	return all
}

func inQuotes(s string) string { return strings.ReplaceAll(s, "'", "''") }

func literal(s string) string { return "'" + inQuotes(s) + "'" }

// unquote gives the name behind a quoted one.
func unquote(name string) string {
	if inner, ok := strings.CutPrefix(name, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return name
}

// stoppedAt says that something else ended an attempt.
func stoppedAt(object string, err error) Result {
	return Result{object, NotProbed, told(map[string]int{code(err): 1})}
}

package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Language of a report for people.
type Language string

// The languages of [Report.WriteText].
const (
	English Language = "en"
	German  Language = "de"
)

// in gives the sentence in a language.
func (t Text) in(l Language) string {
	if l == German {
		return t.German
	}
	return t.English
}

// What a report says around its results.
var (
	title    = Text{"Separation of tenants: what was tried", "Mandantentrennung: was versucht wurde"}
	head     = Text{"Tested on %s (UTC), environment %s, %s %s, art32 %s.", "Geprüft am %s (UTC), Umgebung %s, %s %s, art32 %s."}
	between  = Text{"Between the tenants %s (who attacks) and %s, on the tables: %s.", "Zwischen den Mandanten %s (greift an) und %s, an den Tabellen: %s."}
	rolled   = Text{"Every attempt was rolled back.", "Jeder Versuch wurde zurückgenommen."}
	summary  = Text{"%d probes: %d passed, %d broken, %d not probed.", "%d Proben: %d bestanden, %d durchbrochen, %d nicht geprüft."}
	accepted = Text{"accepted by name", "namentlich hingenommen"}
	whole    = Text{"the database as a whole", "die Datenbank als Ganzes"}
	closing  = Text{
		"The report says what was tried on this day on this database, and not that nothing else could be.",
		"Der Bericht sagt, was an diesem Tag an dieser Datenbank versucht wurde, und nicht, dass sonst nichts möglich wäre.",
	}
)

// words are the states in both languages.
func (s State) words() Text {
	switch s {
	case Held:
		return Text{"passed", "bestanden"}
	case Broken:
		return Text{"BROKEN", "DURCHBROCHEN"}
	default:
		return Text{"not probed", "nicht geprüft"}
	}
}

// dates is how a report writes a time.
func (l Language) dates() string {
	if l == German {
		return "02.01.2006 15:04"
	}
	return time.DateOnly + " 15:04"
}

// WriteText writes the report for people who read no JSON: Markdown, in one of the
// two languages.
func (r Report) WriteText(w io.Writer, l Language) error {
	var b strings.Builder
	count := map[State]int{}
	for _, o := range r.Probes {
		count[o.State()]++
	}
	engine := map[string]string{Postgres: "PostgreSQL", SQLite: "SQLite"}[r.Engine]
	fmt.Fprintf(&b, "# %s\n\n", title.in(l))
	fmt.Fprintf(&b, head.in(l)+"\n", r.Started.UTC().Format(l.dates()), r.Environment, engine, r.EngineVersion, r.Library)
	fmt.Fprintf(&b, between.in(l)+"\n", r.Tenants[0], r.Tenants[1], strings.Join(r.Tables, ", "))
	fmt.Fprintf(&b, "%s\n\n", rolled.in(l))
	fmt.Fprintf(&b, summary.in(l)+"\n", len(r.Probes), count[Held], count[Broken], count[NotProbed])
	for _, o := range r.Probes {
		o.write(&b, l)
	}
	fmt.Fprintf(&b, "\n%s\n", closing.in(l))
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteFiles writes the report into the directory dir, which it makes where there is
// none: ENGINE.json, ENGINE.en.md and ENGINE.de.md, such as sqlite.json. Files of
// that name are replaced.
func (r Report) WriteFiles(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string]string{r.Engine + ".json": string(text) + "\n"}
	for _, l := range []Language{English, German} {
		var b strings.Builder
		if err := r.WriteText(&b, l); err != nil {
			return err
		}
		files[r.Engine+"."+string(l)+".md"] = b.String()
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// write writes one probe: its words, and what became of it where.
func (o Outcome) write(b *strings.Builder, l Language) {
	state := o.State().words().in(l)
	if o.Accepted && o.State() == Broken {
		state += ", " + accepted.in(l)
	}
	fmt.Fprintf(b, "\n## %s, %s: %s\n\n%s\n\n", o.Measure, o.Name, state, o.Explanation.in(l))
	for _, r := range o.Results {
		name := r.Object
		if name == "" {
			name = whole.in(l)
		}
		fmt.Fprintf(b, "- %s: %s", name, r.State.words().in(l))
		if what := r.What.in(l); what != "" {
			fmt.Fprintf(b, " (%s)", what)
		}
		b.WriteByte('\n')
	}
}

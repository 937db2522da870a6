package probe

import (
	"runtime/debug"
	"slices"
	"time"
)

// State is what became of a probe at one object.
type State string

// The states of a [Result].
const (
	Held      State = "held"       // it was tried, and the defence held
	Broken    State = "broken"     // it worked, or nothing is in its way
	NotProbed State = "not probed" // it could not be tried
)

// Text is a sentence for people, in both languages of a report.
type Text struct {
	English string `json:"en"` // for reports in English
	German  string `json:"de"` // for reports in German
}

// Result is what became of a probe at one table, view, function or role.
type Result struct {
	Object string `json:"object,omitzero"` // its name; "" for the database as a whole
	State  State  `json:"state"`
	// What says what happened or why nothing was tried: names and SQLSTATEs, no
	// value of any row.
	What Text `json:"what,omitzero"`
}

// Outcome is what became of one probe.
type Outcome struct {
	Name        string   `json:"name"`              // of the probe
	Measure     string   `json:"measure"`           // the clause of the annex
	Explanation Text     `json:"explanation"`       // what must hold
	Results     []Result `json:"results"`           // never empty
	Accepted    bool     `json:"accepted,omitzero"` // [Options].Accept names it
}

// State is the worst of the results.
func (o Outcome) State() State {
	for _, s := range []State{Broken, NotProbed} {
		if slices.ContainsFunc(o.Results, func(r Result) bool { return r.State == s }) {
			return s
		}
	}
	return Held
}

// Report says what was tried on a database, when, and with which result. Its form
// in JSON is version 1.
type Report struct {
	Version       int       `json:"version"`        // 1
	Started       time.Time `json:"started"`        // UTC
	Ended         time.Time `json:"ended"`          // UTC
	Environment   string    `json:"environment"`    // as the database was stamped
	Engine        string    `json:"engine"`         // Postgres or SQLite
	EngineVersion string    `json:"engine_version"` // as the database says it
	Library       string    `json:"library"`        // version of art32
	Tenants       [2]string `json:"tenants"`        // ids
	Tables        []string  `json:"tables"`         // those that were declared
	Probes        []Outcome `json:"probes"`         // those that were run
}

// OK reports whether nothing was found broken but what is accepted, and each
// declared table was probed by each probe of tables.
func (r Report) OK() bool { return len(r.Broken()) == 0 && len(r.Missing()) == 0 }

// Broken are the probes at which something did not hold and was not accepted.
func (r Report) Broken() (all []Outcome) {
	for _, o := range r.Probes {
		if o.State() == Broken && !o.Accepted {
			all = append(all, o)
		}
	}
	return all
}

// Missing names each declared table, or "" for the database as a whole, with the
// probes that could not be tried there.
func (r Report) Missing() map[string][]string {
	var all map[string][]string
	for _, o := range r.Probes {
		for _, res := range o.Results {
			if res.State != NotProbed || res.Object != "" && !slices.Contains(r.Tables, res.Object) {
				continue
			}
			if all == nil {
				all = map[string][]string{}
			}
			all[res.Object] = append(all[res.Object], o.Name)
		}
	}
	return all
}

// library is the version of art32 that the program was built with.
func library() string {
	const path = "github.com/art32/art32"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == path && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}

func held(object string) Result { return Result{Object: object, State: Held} }

func broken(object, english, german string) Result {
	return Result{object, Broken, Text{english, german}}
}

func notProbed(object, english, german string) Result {
	return Result{object, NotProbed, Text{english, german}}
}

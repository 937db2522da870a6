package incident

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident/deadline"
)

// document is a notice as docs/formats/notice.md describes it. The text is made
// from it alone, so that both say the same.
type document struct {
	Format     string    `json:"format"`
	Version    int       `json:"version"`
	ID         uuid.UUID `json:"id"`
	Case       uuid.UUID `json:"case"`
	Number     int       `json:"number"`
	Made       time.Time `json:"made"`
	Controller party     `json:"controller"`
	Processor  processor `json:"processor"`
	Breach     breach    `json:"breach"`
	ToFollow   []string  `json:"to_follow"`
	Subjects   bounded   `json:"data_subjects"`
	Records    bounded   `json:"records"`
	Tables     []holding `json:"tables"`
	Evidence   evidence  `json:"evidence"`
	Clocks     clocks    `json:"clocks"`
	Ack        string    `json:"acknowledge,omitempty"`
}

type party struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type processor struct {
	Name    string `json:"name"`
	Contact string `json:"contact"`
	Mail    string `json:"mail"`
	Phone   string `json:"phone,omitempty"`
}

type breach struct {
	Kinds        []string `json:"kinds"`
	Title        string   `json:"title"`
	Nature       string   `json:"nature"`
	Consequences string   `json:"consequences"`
	Measures     string   `json:"measures"`
}

type bounded struct {
	AtLeast int `json:"at_least"`
	AtMost  int `json:"at_most"`
}

type holding struct {
	Name     string   `json:"name"`
	Columns  []string `json:"columns"`
	Subjects bounded  `json:"data_subjects"`
	Records  bounded  `json:"records"`
}

type evidence struct {
	From    *time.Time `json:"from"`
	Until   time.Time  `json:"until"`
	Events  int        `json:"events"`
	Unnamed int        `json:"unnamed"`
	Pending int        `json:"pending"`
	Log     string     `json:"log"`
	Size    int64      `json:"size"`
	Root    []byte     `json:"root"`
	Digest  string     `json:"digest"`
	Damaged bool       `json:"damaged,omitempty"`
}

type clocks struct {
	Zone        string    `json:"zone"`
	Aware       time.Time `json:"aware"`
	FirstNotice time.Time `json:"first_notice_target"`
	Norm        string    `json:"norm"`
	Hours       int       `json:"hours"`
	Operational time.Time `json:"operational"`
	Statutory   time.Time `json:"statutory"`
}

// compose takes what goes to one tenant: the report, what was counted at this
// tenant, and nothing of any other.
func (d *Desk) compose(c *Case, a *Affected, number int, made time.Time, ack string) *document {
	rule, clock := d.clock(c)
	r, q := &c.Report, c.scope()
	doc := &document{
		Format: "art32-incident-notice", Version: 1,
		ID: noticeID(c.ID, a.Tenant, number), Case: c.ID, Number: number, Made: made,
		Controller: party{a.Tenant.String(), shown(a.Name)}, Processor: processor(d.vendor),
		Breach:   breach{r.Kind.Words(), r.Title, r.Nature, r.Consequences, r.Measures},
		ToFollow: toFollow(r), Subjects: bound(a.Subjects), Records: bound(a.Records), Tables: []holding{},
		Evidence: evidence{nil, q.Until.UTC(), a.Events, a.Unnamed, a.Pending, a.Log, a.Size, a.Root, a.Digest, a.Damaged},
		Clocks:   d.clocks(r.Aware, rule, clock), Ack: ack,
	}
	if from := q.From.UTC(); !q.From.IsZero() {
		doc.Evidence.From = &from
	}
	for _, t := range a.Tables {
		doc.Tables = append(doc.Tables, holding{t.Name, append([]string{}, t.Columns...), bound(t.Subjects), bound(t.Records)})
	}
	return doc
}

func (d *Desk) clocks(aware time.Time, rule deadline.Rule, c deadline.Clock) clocks {
	loc := d.opts.Location
	return clocks{
		Zone: loc.String(), Aware: aware.In(loc), FirstNotice: aware.Add(d.opts.Targets.FirstNotice).In(loc),
		Norm: rule.Norm, Hours: rule.Hours, Operational: c.Operational, Statutory: c.Statutory,
	}
}

func bound(r Range) bounded { return bounded(r) }

// toFollow are the fields of Art. 33(3) that nobody has filled in yet.
func toFollow(r *Report) []string {
	open := []string{}
	for _, f := range []struct{ name, text string }{{"nature", r.Nature}, {"consequences", r.Consequences}, {"measures", r.Measures}} {
		if strings.TrimSpace(f.text) == "" {
			open = append(open, f.name)
		}
	}
	return open
}

// Named reports whether the controller was named without a scope.
func (d *document) Named() bool {
	return d.Evidence.From != nil && !d.Evidence.From.Before(d.Evidence.Until)
}

// json is the form for machines.
func (d *document) json() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(d)
	return b.Bytes(), err
}

//go:embed notice.tmpl
var noticeText string

var noticeTemplate = template.Must(template.New("notice").Funcs(template.FuncMap{
	"time":  func(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST (-07:00)") },
	"free":  free,
	"say":   say,
	"kinds": sayKinds,
	"list":  func(words []string) string { return strings.Join(words, ", ") },
}).Parse(noticeText))

// text is the form for people.
func (d *document) text() (string, error) {
	var b strings.Builder
	err := noticeTemplate.Execute(&b, d)
	return b.String(), err
}

// free sets somebody's text apart from ours, so that it cannot pass for a part
// of the document.
func free(s string) string {
	if strings.TrimSpace(s) == "" {
		return "   wird nachgereicht / to follow"
	}
	return "   | " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n   | ")
}

func sayKinds(words []string) string {
	var out []string
	for _, k := range kinds {
		for _, w := range words {
			if w == k.word {
				out = append(out, k.say)
			}
		}
	}
	return strings.Join(out, "; ")
}

func say(b bounded) string {
	return "mindestens / at least " + strconv.Itoa(b.AtLeast) + " – höchstens / at most " + strconv.Itoa(b.AtMost) +
		" (soweit im Protokoll / as far as logged)"
}

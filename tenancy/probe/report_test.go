package probe_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/tenancy/probe"
)

var update = flag.Bool("update", false, "rewrite the reports of testdata")

// sample is a report in which each state stands.
func sample() probe.Report {
	all := probe.Probes()
	outcome := func(name string, accepted bool, results ...probe.Result) probe.Outcome {
		for _, p := range all {
			if p.Name == name {
				return probe.Outcome{Name: name, Measure: p.Measure, Explanation: p.Explanation, Results: results, Accepted: accepted}
			}
		}
		return probe.Outcome{}
	}
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	return probe.Report{
		Version: 1, Started: at, Ended: at.Add(7 * time.Second), Environment: "staging",
		Engine: probe.Postgres, EngineVersion: "15.18", Library: "v0.4.0",
		Tenants: [2]string{"6f0f1e38-53a5-4f0c-8a57-0d1e6e3a0a01", "6f0f1e38-53a5-4f0c-8a57-0d1e6e3a0a02"},
		Tables:  []string{"customers", "desk.tickets"},
		Probes: []probe.Outcome{
			outcome("read", false, probe.Result{Object: "customers", State: probe.Held}, probe.Result{Object: "desk.tickets", State: probe.Held}),
			outcome("privileges", false, probe.Result{Object: "customers", State: probe.Broken, What: probe.Text{English: "TRUNCATE is granted", German: "TRUNCATE ist erteilt"}}),
			outcome("large-objects", true, probe.Result{State: probe.Broken, What: probe.Text{
				English: "SELECT lo_create(0) (app): carried out, 1 rows", German: "SELECT lo_create(0) (app): ausgeführt, 1 Zeilen",
			}}),
			outcome("merge", false, probe.Result{Object: "customers", State: probe.Held}, probe.Result{Object: "desk.tickets", State: probe.NotProbed, What: probe.Text{
				English: "one of the tenants has no row in it", German: "einer der Mandanten hat keine Zeile darin",
			}}),
		},
	}
}

// TestReport compares the forms of a report with those that were kept.
func TestReport(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", measure)
	r := sample()
	text, err := json.MarshalIndent(r, "", "\t")
	must(t, err)
	got := map[string]string{"report.json": string(text) + "\n"}
	for _, l := range []probe.Language{probe.English, probe.German} {
		var b strings.Builder
		must(t, r.WriteText(&b, l))
		got["report."+string(l)+".md"] = b.String()
	}
	for name, text := range got {
		file := filepath.Join("testdata", "report", "v1", name)
		if *update {
			must(t, os.MkdirAll(filepath.Dir(file), 0o750))
			must(t, os.WriteFile(file, []byte(text), 0o600))
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if diff := cmp.Diff(string(want), text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if r.OK() || len(r.Broken()) != 1 || len(r.Missing()) != 1 || r.Missing()["desk.tickets"][0] != "merge" {
		t.Errorf("broken %v, missing %v", r.Broken(), r.Missing())
	}
	var again probe.Report
	must(t, json.Unmarshal([]byte(got["report.json"]), &again))
	if diff := cmp.Diff(r, again); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// claims are words that no report says.
var claims = regexp.MustCompile(`(?i)\b(proven|proof|guarantee[sd]?|compliant|bewiesen|nachgewiesen|garantiert|konform)\b`)

// TestWords: each probe has its words in both languages, and no report claims more
// than was tried.
func TestWords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range probe.Probes() {
		key := p.Engine + "/" + p.Name
		if seen[key] || p.Name == "" || p.Measure != measure || p.Engine == "" {
			t.Errorf("probe %+v", p)
		}
		seen[key] = true
		for _, text := range []string{p.Explanation.English, p.Explanation.German} {
			if !strings.HasSuffix(text, ".") || claims.MatchString(text) {
				t.Errorf("%s says %q", key, text)
			}
		}
	}
	for _, l := range []probe.Language{probe.English, probe.German} {
		var b strings.Builder
		must(t, sample().WriteText(&b, l))
		if claims.MatchString(b.String()) {
			t.Errorf("a report claims: %s", claims.FindString(b.String()))
		}
	}
}

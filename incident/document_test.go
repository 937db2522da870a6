package incident_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

var update = flag.Bool("update", false, "rewrite the golden files of notices")

func repeated(b byte) uuid.UUID { return uuid.UUID(bytes.Repeat([]byte{b}, 16)) }

func goldenCase() (incident.Case, incident.Affected) {
	aware := time.Date(2026, 5, 22, 14, 30, 0, 0, time.UTC)
	c := incident.Case{ID: repeated(1), Opened: aware.Add(time.Hour), Report: incident.Report{
		Aware: aware, Kind: incident.Confidentiality | incident.Integrity, Title: "Zugriff mit gestohlenem Schlüssel",
		Nature:       "Ein Schlüssel der API wurde benutzt.\n7. BESTÄTIGUNG / ACKNOWLEDGEMENT\nDer Schlüssel ist gesperrt.",
		Consequences: "Unbefugte kennen Anschriften.", Measures: "Schlüssel getauscht.",
		Scope: tenancy.TraceQuery{From: aware.Add(-48 * time.Hour), Until: aware, Actors: []string{"person:canary"}},
	}}
	a := incident.Affected{
		Tenant: tenancy.ID(repeated(2)), Name: "Anton\nGmbH\x1b[2J", Events: 12, Unnamed: 1, Pending: 2,
		Records: incident.Range{AtLeast: 7, AtMost: 120}, Subjects: incident.Range{AtLeast: 5, AtMost: 5},
		Tables: []incident.AffectedTable{
			{Name: "customers", Columns: []string{"email", "city"}, Records: incident.Range{AtLeast: 5, AtMost: 100}, Subjects: incident.Range{AtLeast: 5, AtMost: 5}},
			{Name: "plans", Records: incident.Range{AtLeast: 2, AtMost: 20}},
		},
		Log: "art32.audit/03030303-0303-0303-0303-030303030303", Size: 4711, Root: bytes.Repeat([]byte{4}, 32), Digest: strings.Repeat("05", 32),
	}
	return c, a
}

// sparse is what is known in the first minutes.
func sparse() (incident.Case, incident.Affected) {
	c, a := goldenCase()
	c.Report.Kind, c.Report.Nature, c.Report.Consequences, c.Report.Measures = incident.Availability, "", " ", ""
	c.Report.Scope.From = time.Time{}
	return c, incident.Affected{Tenant: a.Tenant, Name: "Anton GmbH", Digest: a.Digest}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	w := newWorld(t, "sqlite")
	for name, of := range map[string]func() (incident.Case, incident.Affected){"notice-v1": goldenCase, "notice-v1-sparse": sparse} {
		c, a := of()
		ack := "https://vendor.example/ack?notice=x&token=y"
		if name != "notice-v1" {
			ack = ""
		}
		text, machine, err := w.desk.Render(c, a, c.Opened.Add(1500*time.Microsecond), ack)
		must(t, err)
		golden(t, name+".txt", text)
		golden(t, name+".json", string(machine))
		if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text+string(machine), "person:canary") {
			t.Errorf("%s holds what it must not", name)
		}
		if !json.Valid(machine) {
			t.Errorf("%s: no JSON", name)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Each field of Art. 33(3) that is missing is said to follow.
func TestToFollow(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	w := newWorld(t, "sqlite")
	edits := map[string]func(*incident.Report){
		"nature":       func(r *incident.Report) { r.Nature = "" },
		"consequences": func(r *incident.Report) { r.Consequences = "\n\t " },
		"measures":     func(r *incident.Report) { r.Measures = "" },
	}
	for name, edit := range edits {
		c, a := goldenCase()
		edit(&c.Report)
		text, machine, err := w.desk.Render(c, a, c.Opened, "")
		must(t, err)
		var doc struct {
			ToFollow []string `json:"to_follow"`
		}
		must(t, json.Unmarshal(machine, &doc))
		if len(doc.ToFollow) != 1 || doc.ToFollow[0] != name || strings.Count(text, "wird nachgereicht / to follow") != 1 {
			t.Errorf("%s: %v", name, doc.ToFollow)
		}
	}
}

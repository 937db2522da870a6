package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// hostile is what somebody types who wants to break a line or a terminal.
const hostile = "a\r\nb\x00\x1b[31m\x7f\u0085\u009b31m\u2028\u202e\u200b\U000e0001\"\\,=1+1\xff ü€😀"

// told are entries that show each member of the formats.
func told() []audit.SealedEntry {
	id := func(n byte) (u uuid.UUID) {
		for i := range u {
			u[i] = n
		}
		return u
	}
	at := time.Date(2026, 12, 1, 18, 30, 0, 123456000, time.UTC)
	log := "art32.audit/" + id(1).String()
	return []audit.SealedEntry{
		{Log: log, Tenant: tenancy.ID(id(2)), Entry: audit.Entry{
			ID: id(3), At: at, Actor: "person:" + id(4).String(), Session: "s1", Action: "customers.update", Object: id(5), Outcome: tenancy.Done,
		}},
		{Log: log, Number: 1, Entry: audit.Entry{ID: id(6), At: at, Actor: "service:backup", Action: "backup.run", Outcome: tenancy.Refused}},
		{Log: log, Number: 2, Tenant: tenancy.ID(id(2)), Payload: true, Entry: audit.Entry{
			ID: id(7), At: at, Actor: "service:import", Action: "customers.insert", Object: id(8), Outcome: tenancy.Done, Reason: hostile, Detail: "why",
			Fields:   []audit.FieldChange{{Column: "city", Old: json.RawMessage(`"Köln"`), New: json.RawMessage(`"` + "\u202eX" + `"`)}, {Column: "plan", New: json.RawMessage(`1`)}},
			Attrs:    map[string]json.RawMessage{"n": json.RawMessage(`{"a":1}`)},
			Withheld: []string{"name"}, Erased: true, Damaged: true,
		}},
		{Log: log, Number: 3, Payload: true, Entry: audit.Entry{ID: id(9), At: at, Actor: "service:x", Action: "audit.erase", Outcome: tenancy.Done}},
	}
}

// The lines of released formats stay as they are.
func TestFormatsGolden(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	for file, format := range map[string]audit.Format{"testdata/feed-v1.jsonl": audit.JSONLines, "testdata/feed-ocsf-1.3.0.jsonl": audit.OCSF} {
		var got []byte
		for _, e := range told() {
			var err error
			got, err = format(got, &e)
			must(t, err)
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// Whatever an entry holds is one line of printable characters, and reads as what it was.
func FuzzFormats(f *testing.F) {
	f.Add(hostile)
	f.Add("\n")
	f.Add("\\u000a")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := json.Marshal(text)
		must(t, err)
		e := audit.SealedEntry{Log: "l", Payload: true, Entry: audit.Entry{
			Actor: "service:" + text, Session: text, Action: text + "." + text, Reason: text, Outcome: tenancy.Done,
			Fields: []audit.FieldChange{{Column: text, New: raw}}, Attrs: map[string]json.RawMessage{text: raw},
		}}
		for _, format := range []audit.Format{audit.JSONLines, audit.OCSF} {
			line, err := format(nil, &e)
			must(t, err)
			if bytes.IndexByte(line, '\n') != len(line)-1 || !utf8.Valid(line) {
				t.Fatalf("not one line: %q", line)
			}
			for _, r := range string(line[:len(line)-1]) {
				if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || strings.ContainsRune("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c", r) {
					t.Fatalf("%U stands in %q", r, line)
				}
			}
			var back map[string]any
			must(t, json.Unmarshal(line, &back))
		}
		line, err := audit.JSONLines(nil, &e)
		must(t, err)
		var back struct {
			Session string `json:"session"`
			Payload struct {
				Reason string `json:"reason"`
			} `json:"payload"`
		}
		must(t, json.Unmarshal(line, &back))
		if want := strings.ToValidUTF8(text, "\ufffd"); utf8.ValidString(text) && (back.Session != want || back.Payload.Reason != want) {
			t.Fatalf("got %q, want %q", back, want)
		}
	})
}

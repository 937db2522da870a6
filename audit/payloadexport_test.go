package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// exports counts the entries that tell of an export.
func (w *world) exports(t *testing.T) int {
	t.Helper()
	return len(w.entries(w.in(t.Context(), w.a), t, audit.Filter{Action: "audit.export"}))
}

// first calls fn before the first byte.
type first struct {
	bytes.Buffer

	fn func()
}

func (f *first) Write(p []byte) (int, error) {
	if f.fn != nil {
		f.fn()
		f.fn = nil
	}
	return f.Buffer.Write(p)
}

// All that is sealed is written with its payload, in the order of the tree, and goes on
// from where it ended. The log tells of it before the first byte.
func TestWriteJSONL(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.sealed(t, 300)
		w.erase(t, all[3].ID)
		w.seal(t)
		w.customers(t, 1) // waits
		told := -1
		out := &first{fn: func() { told = w.exports(t) }}
		next, err := w.log.WriteJSONL(w.in(t.Context(), w.a), w.db, out, audit.Filter{}, 0)
		must(t, err)
		got := parseLines(t, out.Bytes())
		if told != 1 || next != int64(len(got)) || next < 301 {
			t.Fatalf("told %d before the first byte, %d lines, next %d", told, len(got), next)
		}
		origin := w.verify(t, nil).Origin
		for i, l := range got[:300] {
			if l.Index != int64(i) || l.Log != origin || l.Tenant != w.a.String() || strings.Contains(string(l.Payload), "gruenwald") == (i == 3) ||
				strings.Contains(string(l.Payload), `"erased":true`) != (i == 3) {
				t.Fatalf("line %d: %+v", i, l)
			}
		}
		w.seal(t)
		out = &first{}
		after, err := w.log.WriteJSONL(w.in(t.Context(), w.a), w.db, out, audit.Filter{}, next)
		must(t, err)
		more := parseLines(t, out.Bytes())
		if len(more) != 2 || more[0].Index != next || after != next+2 || more[0].Action+more[1].Action != "customers.insert"+"audit.export" {
			t.Errorf("then to %d: %+v", after, more)
		}
		if !strings.Contains(string(more[1].Payload), `"format":"jsonl"`) || !strings.Contains(string(more[1].Payload), "Anruf von Frau") {
			t.Errorf("the export is told as %s", more[1].Payload)
		}
	})
}

func TestWriteFiltered(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.sealed(t, 5)
		var out bytes.Buffer
		next, err := w.log.WriteJSONL(w.in(t.Context(), w.a), w.db, &out, audit.Filter{Object: all[2].ID}, 0)
		must(t, err)
		if got := parseLines(t, out.Bytes()); len(got) != 1 || got[0].Index != 2 || next != 5 {
			t.Errorf("to %d: %+v", next, got)
		}
		out.Reset()
		_, err = w.log.WriteJSONL(w.as(t.Context()), w.db, &out, audit.Filter{Platform: true}, 0)
		must(t, err)
		if got := parseLines(t, out.Bytes()); len(got) == 0 || got[0].Tenant != "" || got[0].Action != "tenant.create" {
			t.Errorf("the platform's: %+v", got)
		}
	})
}

// Where the log cannot tell of it, nothing is written.
func TestWriteRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		var out bytes.Buffer
		_, err := w.log.WriteJSONL(tenancy.WithTenant(t.Context(), w.a), w.db, &out, audit.Filter{}, 0)
		wantErr(t, err, tenancy.ErrNoActor)
		_, err = w.log.WriteJSONL(w.as(t.Context()), w.db, &out, audit.Filter{}, 0)
		wantErr(t, err, tenancy.ErrNoTenant)
		err = w.db.In(w.in(t.Context(), w.a), func(ctx context.Context, _ *tenancy.Tx) error {
			_, err := w.log.WriteCSV(ctx, w.db, &out, audit.Filter{}, 0)
			return err
		})
		if err == nil || out.Len() != 0 || w.exports(t) != 0 {
			t.Errorf("in a transaction: %v; %q", err, &out)
		}
		broken := errors.New("broken pipe")
		next, err := w.log.WriteJSONL(w.in(t.Context(), w.a), w.db, failing{broken}, audit.Filter{}, 0)
		wantErr(t, err, broken)
		if next != 0 || w.exports(t) != 1 {
			t.Errorf("after a broken writer: to %d, told %d times", next, w.exports(t))
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A row of CSV is one line and holds no formula, whatever was typed.
func TestWriteCSV(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, text := range formulas {
			ctx := tenancy.WithReason(w.in(t.Context(), w.a), text)
			must(t, customers.Insert(ctx, w.db, &customer{Email: field.New(text), City: text, Plan: "basic"}))
		}
		w.seal(t)
		var out bytes.Buffer
		_, err := w.log.WriteCSV(w.in(t.Context(), w.a), w.db, &out, audit.Filter{}, 0)
		must(t, err)
		rows := readCSV(t, out.Bytes())
		if len(rows) != len(formulas)+1 || strings.Join(rows[0][:3], " ") != "log index event" {
			t.Fatalf("got %d rows: %v", len(rows), rows[0])
		}
		for i, text := range formulas {
			var fields map[string]struct {
				New string `json:"new"`
			}
			must(t, json.Unmarshal([]byte(rows[i+1][12]), &fields))
			if fields["city"].New != text || fields["email"].New != text {
				t.Errorf("%q reads as %+v", text, fields)
			}
			harmless(t, rows[i+1])
		}
	})
}

var formulas = []string{
	"=1+1", "+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "a;=1+1", "a,=1", `a"=1`, `";=1+1;"`, "'=1", "a|=1", "\x1b[31m", "plain - text",
	`\=1`, `\";=1`,
}

func readCSV(t *testing.T, text []byte) [][]string {
	t.Helper()
	if strings.Count(string(text), "\n") != strings.Count(string(text), "\r\n") {
		t.Error("a line ends otherwise than with CRLF")
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	must(t, err)
	if len(rows) != strings.Count(string(text), "\n") {
		t.Errorf("%d rows on %d lines", len(rows), strings.Count(string(text), "\n"))
	}
	return rows
}

// begins finds what a spreadsheet may take for the begin of a formula, with whichever
// character it parts cells.
var begins = regexp.MustCompile(`(^|[,;|\t"']) *[=+@＝＋－＠-]`)

func harmless(t *testing.T, row []string) {
	t.Helper()
	for _, cell := range row {
		if strings.ContainsFunc(cell, unicode.IsControl) {
			t.Errorf("%q acts on a terminal", cell)
		}
		if !safe(cell) {
			t.Errorf("%q may be a formula", cell)
		}
	}
}

// safe reports whether a ' stands right before each such character.
func safe(cell string) bool {
	for _, at := range begins.FindAllStringIndex(cell, -1) {
		if m := cell[at[0]:at[1]]; !strings.HasPrefix(m, "'") {
			return false
		}
	}
	return true
}

func FuzzCSV(f *testing.F) {
	for _, text := range formulas {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := json.Marshal(text)
		must(t, err)
		row, err := audit.CSVRow(nil, &audit.SealedEntry{Log: "l", Payload: true, Entry: audit.Entry{
			Actor: text, Session: text, Action: text, Reason: text, Detail: text, Withheld: []string{text},
			Fields: []audit.FieldChange{{Column: text, Old: raw, New: raw}}, Attrs: map[string]json.RawMessage{text: raw},
			Parts: []audit.EntryPart{{Subject: uuid.New(), Attrs: map[string]json.RawMessage{text: raw}}},
		}})
		must(t, err)
		rows := readCSV(t, row)
		if len(rows) != 1 || len(rows[0]) != 18 {
			t.Fatalf("got %q", row)
		}
		harmless(t, rows[0])
		var back []string
		must(t, json.Unmarshal([]byte(rows[0][15]), &back))
		if want := strings.ToValidUTF8(text, "\ufffd"); back[0] != want && !strings.Contains(want, "\ufffd") {
			t.Fatalf("%q reads as %q", text, back[0])
		}
	})
}

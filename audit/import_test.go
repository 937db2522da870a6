package audit_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

const (
	csvLine = `2026-12-01 17:00:00.123 UTC,"app","shop",4711,"192.0.2.1:5000",66f0.1,1,"SELECT",2026-12-01 16:00:00 UTC,3/5,0,LOG,00000,` +
		`"AUDIT: SESSION,1,1,READ,SELECT,,,""SELECT name` + "\n" + `FROM customers"",<none>",,,,,,,,,"psql","client backend",,0` + "\n"
	csvOther    = `2026-12-01 17:00:01.000 UTC,"app","shop",4711,,66f0.1,2,"",2026-12-01 16:00:00 UTC,,0,ERROR,42P01,"relation ""x"" does not exist",,,,,,"SELECT 1",15,,"","client backend",,0` + "\n"
	stderrLine  = "2026-12-01 17:00:00 UTC [4711] app@shop LOG:  AUDIT: OBJECT,1,1,WRITE,UPDATE,TABLE,public.customers,\"UPDATE customers\n\tSET city = 'Ulm'\",<none>\n"
	stderrOther = "2026-12-01 17:00:00 UTC [4711] app@shop ERROR:  syntax error\n2026-12-01 17:00:00 UTC [4711] app@shop STATEMENT:  x\n"
	sshdLines   = "Dec  1 17:00:00 host sshd[99]: Accepted publickey for root from 192.0.2.7 port 5022 ssh2\n" +
		"2026-12-01T17:00:01.5+01:00 host sshd-session[100]: Failed password for root from 192.0.2.8 port 1 ssh2\r\n"
	sshdOther = "Dec  1 17:00:00 host cron[1]: sshd[99]: Accepted password for root\nDec  1 17:00:00 host sudo: root\n"
)

// lines are those that were imported, newest last.
func (w *world) lines(t *testing.T, source audit.Source) (all []string) {
	t.Helper()
	for _, e := range w.entries(w.as(t.Context()), t, audit.Filter{Platform: true, Action: "import." + string(source)}) {
		all = append(all, string(e.Attrs["line"])+string(e.Attrs["cut"]))
	}
	return all
}

// TestImport: lines of others come into the platform's log, each once.
func TestImport(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		ctx := w.as(t.Context())
		imports := func(source audit.Source, text string, want audit.ImportReport) {
			t.Helper()
			got, err := rec.Import(ctx, source, iotest.OneByteReader(strings.NewReader(text)))
			if err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", source, got, err, want)
			}
		}
		pg := csvOther + csvLine + csvLine + stderrOther + stderrLine
		imports(audit.PGAudit, pg, audit.ImportReport{Lines: 6, Imported: 3, Other: 3})
		imports(audit.PGAudit, pg, audit.ImportReport{Lines: 6, Known: 3, Other: 3})
		imports(audit.PGAudit, strings.TrimSuffix(pg, "\n")+"\n"+csvLine, audit.ImportReport{Lines: 7, Imported: 1, Known: 3, Other: 3})
		imports(audit.SSHD, sshdLines+sshdOther, audit.ImportReport{Lines: 4, Imported: 2, Other: 2})
		imports(audit.SSHD, strings.TrimSuffix(sshdLines, "\r\n"), audit.ImportReport{Lines: 2, Known: 2})
		many := strings.Repeat(strings.SplitAfter(sshdLines, "\n")[0], 200)
		imports(audit.SSHD, many, audit.ImportReport{Lines: 200, Imported: 199, Known: 1})
		if got := w.lines(t, audit.PGAudit); len(got) != 4 || !strings.Contains(got[0], `SELECT name\nFROM customers`) || !strings.Contains(got[2], `\n\tSET city = 'Ulm'`) {
			t.Errorf("got %q", got)
		}
		if got := w.lines(t, audit.SSHD); len(got) != 201 || !strings.Contains(got[0], "Accepted publickey for root") {
			t.Errorf("got %d lines", len(got))
		}
		if _, err := rec.Import(ctx, "cron", strings.NewReader("x")); !errors.Is(err, audit.ErrSource) {
			t.Errorf("got %v", err)
		}
		_, err = rec.Import(t.Context(), audit.SSHD, strings.NewReader(sshdLines+many+many))
		wantErr(t, err, tenancy.ErrNoActor)
		broken := errors.New("broken")
		_, err = rec.Import(ctx, audit.SSHD, io.MultiReader(strings.NewReader(sshdLines), iotest.ErrReader(broken)))
		wantErr(t, err, broken)
		w.seal(t)
		r, err := audit.Verify(t.Context(), w.db, tenancy.ID{}, nil)
		must(t, err)
		if !r.OK() {
			t.Errorf("%+v", r)
		}
	})
}

// TestImportHostile: whatever a line holds, it is bounded, and stands in the payload
// alone.
func TestImportHostile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		const head = "Dec  1 17:00:00 host sshd[1]: "
		for _, text := range []string{
			head + "\x1b]0;owned\x07\x1b[2J\x00\x7f", head + "\xff\xfe\xc3(", head + strings.Repeat("x", 10<<20), head + strings.Repeat("\x01", 10<<20) + "\n",
			head + "a\rb\u2028c\u202e",
		} {
			got, err := rec.Import(w.as(t.Context()), audit.SSHD, strings.NewReader(text))
			cut := 0
			if len(text) > audit.MaxImport {
				cut = 1
			}
			if want := (audit.ImportReport{Lines: 1, Imported: 1, Cut: cut}); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		}
		for _, line := range w.lines(t, audit.SSHD) {
			if !utf8.ValidString(line) || strings.ContainsAny(line, "\x00\x01\x07\x1b\r") || len(line) > 6*audit.MaxImport+10 {
				t.Errorf("got %.80q", line)
			}
		}
		if long := w.lines(t, audit.SSHD)[2]; !strings.HasSuffix(long, `"true`) || len(long) != audit.MaxImport+6 {
			t.Errorf("%d bytes, and its end is %q", len(long), long[len(long)-6:])
		}
		db := w.Raw(t, tenancy.ID{})
		defer db.Close()
		table := map[string]string{"sqlite": "art32_events", "postgres": "art32.events"}[w.engine]
		var other int
		must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE action LIKE 'import.%' AND action <> 'import.sshd'").Scan(&other))
		if other != 0 {
			t.Errorf("%d events with another action", other)
		}
	})
}

func FuzzImport(f *testing.F) {
	for _, seed := range []string{csvLine, csvOther, stderrLine, stderrOther, sshdLines, sshdOther, `"`, "\n\t\n", strings.Repeat("\n", 9000) + `"x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, source := range []audit.Source{audit.PGAudit, audit.SSHD} {
			once, length, err := audit.ReadRecords(source, bytes.NewReader(text))
			must(t, err)
			if length > len(text) {
				t.Errorf("%d bytes of %d", length, len(text))
			}
			slowly, _, err := audit.ReadRecords(source, iotest.HalfReader(bytes.NewReader(text)))
			must(t, err)
			if once != slowly {
				t.Error("what is read depends on how it comes")
			}
		}
	})
}

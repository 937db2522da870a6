package backup_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/tenancy"
)

// swappingTarget is a target that hands out other bytes from the second reading on, as
// somebody can who writes where the backups lie.
type swappingTarget struct {
	backup.Target

	end   string // of the names that are swapped
	other []byte // what is handed out
	seen  map[string]bool
}

func (s *swappingTarget) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !strings.HasSuffix(name, s.end) || !s.seen[name] {
		if s.seen == nil {
			s.seen = map[string]bool{}
		}
		s.seen[name] = true
		return s.Target.Open(ctx, name)
	}
	return io.NopCloser(strings.NewReader(string(s.other))), nil
}

// watched notes whether anything of a part arrives.
type watched struct {
	backup.Destination

	shared, files int
}

func (w *watched) File(ctx context.Context, t tenancy.ID, name string, size int64, r io.Reader) error {
	w.files++
	if t.IsZero() {
		w.shared++
	}
	return w.Destination.File(ctx, t, name, size, r)
}

// Nothing of a part is used that was swapped after its digest was checked, even
// where it opens with the same identity.
func TestSwappedWhileItIsRead(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m, other := w.run(t), w.run(t)
	for end, files := range map[string]int{m.Parts[0].Name: 0, m.Parts[1].Name: 1} {
		b, err := os.ReadFile(w.path(other.Run + "/" + end))
		must(t, err)
		dir := filepath.Join(w.root, "restored-"+filepath.Base(end))
		into := &watched{Destination: sqlitesource.Into(dir, nil)}
		_, err = backup.Restore(t.Context(), &swappingTarget{Target: w.to, end: end, other: b}, m.Run, into, w.restoreOptions(t))
		wantErr(t, err, backup.ErrDamaged)
		if into.files != files {
			t.Errorf("%s: %d files arrived, want %d", end, into.files, files)
		}
		nothingAt(t, dir)
	}
}

// Who can write the target can sign a run of his own, and needs no keystore of
// the service for it.
func TestASignerMustBeAskedFor(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	foreign := layOut(t, t.TempDir())
	must(t, foreign.tryOpen(t))
	t.Cleanup(foreign.close)
	o := w.restoreOptions(t)
	o.Signer = ""
	if _, dir, err := w.restore(t, m.Run, o); err == nil {
		t.Error("restored without a signer")
	} else {
		nothingAt(t, dir)
	}
	o.Signer = backup.SignerOfManifest
	res, _, err := w.restore(t, m.Run, o)
	must(t, err)
	if res.SignerGiven {
		t.Error("the result says that the signer was given")
	}
	forge(t, w, m, foreign.job)
	_, dir, err := w.restore(t, m.Run, o)
	wantErr(t, err, backup.ErrSignature)
	nothingAt(t, dir)
}

// A pipe, a link or a folder under the name of an object is none: no run hangs
// or fails because of it.
func TestPipesInTheTarget(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	m := w.run(t)
	for i, name := range []string{"MANIFEST.json.sig", "MANIFEST.json"} {
		must(t, os.Remove(w.path(m.Run+"/"+name)))
		if i == 0 {
			must(t, syscall.Mkfifo(w.path(m.Run+"/"+name), 0o600))
		} else {
			must(t, os.Symlink("/dev/zero", w.path(m.Run+"/"+name)))
		}
	}
	must(t, os.WriteFile(w.path("20261123T000000Z-00000000"), nil, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next, err := w.job.Run(ctx)
	wantErr(t, err, backup.ErrDamaged) // the vault knows that the first was committed
	if next == nil {
		t.Error("no run")
	}
}

// Anybody can sign a manifest, and a listing shows it: it holds nothing that
// writes over a screen or looks like another line.
func TestAManifestIsPrintable(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	text, err := os.ReadFile(w.path(m.Run + "/MANIFEST.json"))
	must(t, err)
	for name, c := range map[string][2]string{
		"engine":    {`"sqlite"`, `"sqlite\u001b[2J"`},
		"capitals":  {`"sqlite"`, `"SQLite"`},
		"no engine": {`"sqlite"`, `""`},
		"a line":    {`"platform.db as of`, `"x\ncommitted   `},
		"position":  {`"platform.db as of`, `"\u009b2J`},
		"turned":    {`"platform.db as of`, `"\u202e`},
		"reason":    {`sessions end`, `sessions\r end`},
		"table":     {`"art32_sessions"`, `"art32\u0007sessions"`},
		"recipient": {`"age1`, `"age1\u001b`},
		"signer":    {w.job.Signer(), w.job.Signer() + ` a comment`},
		"a blank":   {w.job.Signer(), w.job.Signer() + `\n`},
	} {
		spoilt := bytes.Replace(text, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(spoilt, text) {
			t.Errorf("%s: nothing changed", name)
		}
		sig, err := w.job.Resign(t.Context(), spoilt)
		must(t, err)
		must(t, os.WriteFile(w.path(m.Run+"/MANIFEST.json"), spoilt, 0o600))
		must(t, os.WriteFile(w.path(m.Run+"/MANIFEST.json.sig"), sig, 0o600))
		runs, err := backup.List(t.Context(), w.to)
		must(t, err)
		if runs[0].Manifest != nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantErr(t, runs[0].Err, backup.ErrDamaged)
		if strings.ContainsFunc(runs[0].Err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q", name, runs[0].Err)
		}
	}
}

// oddSource tells of itself in more than one printable line.
type oddSource struct{ backup.Source }

func (o oddSource) Snapshot(ctx context.Context) (backup.Snapshot, error) {
	s, err := o.Source.Snapshot(ctx)
	return oddSnapshot{s}, err
}

type oddSnapshot struct{ backup.Snapshot }

func (oddSnapshot) Position() string { return "here\nand there" }
func (oddSnapshot) Excluded() []backup.Excluded {
	return []backup.Excluded{{Table: "a\x1btable", Reason: "nobody\twants it"}}
}

// What a source calls its tables is shown as it can be shown; it ends no backup.
func TestWhatASourceSaysIsQuoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job, err := backup.New(oddSource{sqlitesource.New(w.data, nil)}, w.to, w.vault, w.keys, accepting{}, nil)
	must(t, err)
	m, err := job.Run(t.Context())
	must(t, err)
	if m.Position != `"here\nand there"` || m.Excluded[0] != (backup.Excluded{Table: `"a\x1btable"`, Reason: `"nobody\twants it"`}) {
		t.Errorf("position %q, excluded %q", m.Position, m.Excluded)
	}
}

// Nothing that is longer than it can be is read to its end, and nothing is parsed
// that nobody signed.
func TestBounds(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	sig, err := os.ReadFile(w.path(m.Run + "/MANIFEST.json.sig"))
	must(t, err)
	must(t, os.Truncate(w.path(m.Run+"/"+m.Parts[0].Name), 1<<42))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = backup.Verify(ctx, w.to, m.Run, nil)
	wantErr(t, err, backup.ErrDamaged)
	for i, size := range []int64{1 << 42, 1 << 20} {
		dir := w.path("20261123T00000" + string(rune('0'+i)) + "Z-00000000")
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(dir+"/MANIFEST.json", nil, 0o600))
		must(t, os.Truncate(dir+"/MANIFEST.json", size))
		must(t, os.WriteFile(dir+"/MANIFEST.json.sig", sig, 0o600))
	}
	runs, err := backup.List(ctx, w.to)
	must(t, err)
	if len(runs) != 3 {
		t.Fatalf("runs: %v", runs)
	}
	wantErr(t, runs[1].Err, backup.ErrDamaged)
	wantErr(t, runs[2].Err, backup.ErrSignature)
}

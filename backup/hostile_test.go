package backup_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

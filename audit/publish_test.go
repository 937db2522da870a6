package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/dirplace"
	"github.com/art32/art32/tenancy"
)

// folder is a place outside, in a directory of the test.
func folder(t *testing.T) (*dirplace.Place, string) {
	t.Helper()
	dir := t.TempDir()
	p, err := dirplace.Open("vault", dir)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p, dir
}

// publish is what a publisher does that has just started.
func (w *world) publish(t *testing.T, places ...audit.Place) *audit.Publication {
	t.Helper()
	r, err := w.publisher(t, places...).PublishDue(t.Context())
	must(t, err)
	return r
}

func (w *world) publisher(t *testing.T, places ...audit.Place) *audit.Publisher {
	t.Helper()
	p, err := audit.NewPublisher(w.db, places, w.publishing())
	must(t, err)
	return p
}

func (w *world) publishing() *audit.PublisherOptions {
	return &audit.PublisherOptions{Logger: slog.New(slog.NewTextHandler(w.logged, nil))}
}

// running starts run, and returns what ends it and waits for that.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		cancel()
		wantErr(t, <-done, context.Canceled)
	}
}

// await waits until done, and fails where that never comes.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for range 6000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it never came")
}

func (w *world) wantDisagreement(t *testing.T, p *audit.Publication, looks audit.Divergence, held, ours int64) {
	t.Helper()
	origin := w.verify(t, nil).Origin
	for _, d := range p.Disagreements {
		if d.Origin != origin {
			continue
		}
		if d.Place != "vault" || d.Looks != looks || d.Held != held || d.Ours != ours {
			t.Errorf("got %+v", d)
		}
		return
	}
	t.Errorf("it agrees: %+v", p)
}

// Each log's head lies outside, once, in the form in which it was signed.
func TestPublish(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, dir := folder(t)
		w.sealed(t, 3)
		p := w.publisher(t, place)
		for i, want := range []int{2, 0} { // the platform's and that of tenant a
			r, err := p.PublishDue(t.Context())
			must(t, err)
			if r.Heads != want || len(r.Disagreements) != 0 {
				t.Errorf("round %d: %+v", i, r)
			}
		}
		w.sealed(t, 300)
		if r := w.publish(t, place); r.Heads != 1 || len(r.Disagreements) != 0 {
			t.Errorf("another publisher: %+v", r)
		}
		origin := w.verify(t, nil).Origin
		held, err := os.ReadFile(filepath.Join(dir, origin, fmt.Sprintf("%020d", 303)))
		must(t, err)
		if string(held) != string(w.checkpoint(t)) {
			t.Errorf("held: %s", held)
		}
		w.wantOK(t, &audit.VerifyOptions{Checkpoints: [][]byte{held}})
		if files, err := os.ReadDir(filepath.Join(dir, origin)); err != nil || len(files) != 2 {
			t.Errorf("%v, %v", files, err)
		}
	})
}

// A log that was set back, and one that went on from there, is found; the place
// keeps what it holds, and the alarm is given once.
func TestPublishFindsRollback(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, _ := folder(t)
		w.sealed(t, 3)
		back := w.snapshot(t)
		w.sealed(t, 4)
		w.publish(t, place)
		origin := w.verify(t, nil).Origin
		back()
		p := w.publisher(t, place)
		for range 2 {
			r, err := p.PublishDue(t.Context())
			must(t, err)
			w.wantDisagreement(t, r, audit.RolledBack, 7, 3)
		}
		if n := strings.Count(w.logged.String(), "did not grow from what is held outside"); n == 0 || strings.Count(w.logged.String(), "log="+origin) != 1 {
			t.Errorf("alarms:\n%s", w.logged)
		}
		w.customers(t, 4)
		w.seal(t)
		w.wantDisagreement(t, w.publish(t, place), audit.Forked, 7, 7)
		w.customers(t, 300)
		w.seal(t)
		w.wantDisagreement(t, w.publish(t, place), audit.Forked, 7, 307)
		held, err := place.Held(t.Context(), origin)
		must(t, err)
		if !strings.HasPrefix(string(held), origin+"\n7\n") {
			t.Errorf("the place holds %s", held)
		}
		if strings.Contains(w.logged.String(), "gruenwald") {
			t.Error("personal data in the log")
		}
	})
}

// What lies in a place and is not signed by the log's key is an alarm, and is not
// covered up by a newer head.
func TestPublishFindsUnsigned(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, dir := folder(t)
		w.sealed(t, 3)
		w.publish(t, place)
		origin := w.verify(t, nil).Origin
		name := filepath.Join(dir, origin, fmt.Sprintf("%020d", 3))
		note, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, []byte(strings.Replace(string(note), "\n3\n", "\n2\n", 1)), 0o600))
		w.sealed(t, 1)
		w.wantDisagreement(t, w.publish(t, place), audit.Unsigned, -1, 4)
	})
}

// A checkpoint in the database that the log's key did not sign leaves no house.
func TestPublishOnlySigned(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, _ := folder(t)
		w.sealed(t, 3)
		origin := w.verify(t, nil).Origin
		w.raw(t, `UPDATE art32.checkpoints SET note = replace(note, 'audit/', 'audit/0') WHERE tenant_id = TENANT`)
		r, err := w.publisher(t, place).PublishDue(t.Context())
		wantErr(t, err, audit.ErrCheckpoint)
		if held, herr := place.Held(t.Context(), origin); r.Heads != 1 || held != nil || herr != nil { // the platform's
			t.Errorf("%+v, held %s, %v", r, held, herr)
		}
	})
}

// A log that was never opened here is not published, nor any where the platform's log is
// not the one whose key is held outside.
func TestPublishOnlyOpened(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, _ := folder(t)
		w.sealed(t, 3)
		r := w.verify(t, nil)
		for key, want := range map[string]int{r.Key: 0, r.PlatformKey: 2} {
			o := w.publishing()
			o.PlatformKey = key
			p, err := audit.NewPublisher(w.db, []audit.Place{place}, o)
			must(t, err)
			if out, err := p.PublishDue(t.Context()); (err == nil) != (want > 0) || out.Heads != want {
				t.Errorf("%+v, %v; want %d heads", out, err, want)
			}
		}
		w.sealed(t, 1)
		w.rawPlatform(t, `DELETE FROM art32.events WHERE action = 'audit.open' AND tenant_id = TENANT`)
		out, err := w.publisher(t, place).PublishDue(t.Context())
		wantErr(t, err, audit.ErrOtherLog)
		if out.Heads != 0 {
			t.Errorf("got %+v", out)
		}
	})
}

// A restore that the log's own key has declared explains what was lost; any other
// note does not.
func TestPublishAfterDeclaredRestore(t *testing.T) {
	for name, agreed := range map[string]bool{"late": true, "early": false, "none": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				place, _ := folder(t)
				w.sealed(t, 3)
				back := w.snapshot(t)
				heads := map[string][]byte{"none": nil}
				for _, of := range []string{"early", "late"} {
					w.sealed(t, 2)
					heads[of] = w.checkpoint(t)
				}
				w.publish(t, place)
				back()
				if p := w.publish(t, place); len(p.Disagreements) != 1 || p.Disagreements[0].Looks != audit.RolledBack {
					t.Errorf("not declared: %+v", p)
				}
				w.renew(t, w.a, audit.Renewal{Cause: audit.CauseRestore, Held: heads[name]})
				if p := w.publish(t, place); (len(p.Disagreements) == 0) != agreed {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

// The publisher runs under its lease, and ends with its context.
func TestPublisherRun(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		place, _ := folder(t)
		w.sealed(t, 3)
		o := w.publishing()
		o.Interval, o.Tenants = 10*time.Millisecond, []tenancy.ID{w.a}
		p, err := audit.NewPublisher(w.db, []audit.Place{place}, o)
		must(t, err)
		origin := w.verify(t, nil).Origin
		stop := running(t, p.Run)
		await(t, func() bool {
			held, err := place.Held(t.Context(), origin)
			must(t, err)
			return held != nil
		})
		stop()
	})
}

// cosigner is a place that signs what it is given.
type cosigner struct{ note.Signer }

func (cosigner) Held(context.Context, string) ([]byte, error) { return nil, nil }

func (c cosigner) Put(_ context.Context, h *audit.Head) ([]string, error) {
	text, _, _ := strings.Cut(string(h.Note), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, c.Signer)
	_, lines, _ := strings.Cut(string(signed), "\n\n")
	return strings.Split(strings.TrimSuffix(lines, "\n"), "\n"), err
}

// Cosignatures are kept beside the checkpoint that they sign, and leave with it.
func TestPublishKeepsCosignatures(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var verifiers []note.Verifier
		var places []audit.Place
		for _, name := range []string{"one.example", "two.example"} {
			private, public, err := note.GenerateKey(nil, name)
			must(t, err)
			s, err := note.NewSigner(private)
			must(t, err)
			v, err := note.NewVerifier(public)
			must(t, err)
			verifiers, places = append(verifiers, v), append(places, cosigner{s})
		}
		w.sealed(t, 3)
		for range 2 { // the same line once more
			if p := w.publish(t, places...); p.Heads != 4 {
				t.Errorf("got %+v", p)
			}
		}
		exported := func() *note.Note {
			dir := filepath.Join(t.TempDir(), "export")
			must(t, audit.Export(t.Context(), w.db, w.a, dir))
			signed, err := os.ReadFile(filepath.Join(dir, "0", "checkpoint"))
			must(t, err)
			own, err := note.NewVerifier(w.verify(t, nil).Key)
			must(t, err)
			n, err := note.Open(signed, note.VerifierList(append(verifiers, own)...))
			must(t, err)
			checkExport(t, dir)
			return n
		}
		if n := exported(); len(n.Sigs) != 3 || len(n.UnverifiedSigs) != 0 {
			t.Errorf("got %+v", n)
		}
		w.sealed(t, 1)
		if n := exported(); len(n.Sigs) != 1 {
			t.Errorf("a newer checkpoint bears the signatures of an older: %+v", n)
		}
	})
}

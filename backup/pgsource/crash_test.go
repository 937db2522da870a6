package pgsource_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

const envChild = "ART32_PGSOURCE_CHILD"

// order is what the child that is killed works on, and at which step it dies.
type order struct {
	Logins  postgres.Logins
	KeyFile string
	Safe    places
	Step    string
}

// TestKilledChild is the process that is killed.
func TestKilledChild(t *testing.T) {
	text := os.Getenv(envChild)
	if text == "" {
		return
	}
	var o order
	must(t, json.Unmarshal([]byte(text), &o))
	w := &world{logins: o.Logins, keyFile: o.KeyFile}
	w.open(t)
	s := w.opened(t, o.Safe)
	d := dying(o.Step)
	recorder, err := audit.NewRecorder(w.log, w.db)
	must(t, err)
	job, err := backup.New(&dyingSource{w.source(t, nil), d}, &dyingTarget{s.target, d}, s.vault, w.keys, recorder, nil)
	must(t, err)
	_, err = job.Run(t.Context())
	t.Fatal("not killed:", err)
}

// dying is the name of the step at which the process ends.
type dying string

func (d dying) at(step string) {
	if step == string(d) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

type dyingSource struct {
	backup.Source

	dying dying
}

func (s *dyingSource) Snapshot(ctx context.Context) (backup.Snapshot, error) {
	snap, err := s.Source.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s.dying.at("snapshot")
	all, ok := snap.(able)
	if !ok {
		return nil, errors.Join(errors.New("the snapshot can do less than it could"), snap.Close())
	}
	return &dyingSnapshot{all, s.dying}, nil
}

// able is a snapshot with all that this one can do beyond.
type able interface {
	backup.Snapshot
	backup.Eraser
	backup.Instructor
}

type dyingSnapshot struct {
	able

	dying dying
}

func (s *dyingSnapshot) Write(ctx context.Context, sink backup.Sink) error {
	return s.able.Write(ctx, &dyingSink{sink, s.dying})
}

func (s *dyingSnapshot) Keystore(ctx context.Context, take func(name string, size int64, r io.Reader) error) error {
	return s.able.Keystore(ctx, func(name string, size int64, r io.Reader) error {
		s.dying.at("keystore")
		return take(name, size, r)
	})
}

func (s *dyingSnapshot) Erased(ctx context.Context, each func(tenancy.ID, uuid.UUID) error) error {
	s.dying.at("erased")
	return s.able.Erased(ctx, each)
}

type dyingSink struct {
	backup.Sink

	dying dying
}

func (s *dyingSink) File(ctx context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error {
	if !tenant.IsZero() {
		s.dying.at("rows")
	}
	return s.Sink.File(ctx, tenant, name, size, r)
}

type dyingTarget struct {
	backup.Target

	dying dying
}

func (d *dyingTarget) Create(ctx context.Context, name string) (backup.Object, error) {
	o, err := d.Target.Create(ctx, name)
	return &dyingObject{o, name[strings.Index(name, "/")+1:], d.dying}, err
}

type dyingObject struct {
	backup.Object

	name  string
	dying dying
}

func (o *dyingObject) Commit(ctx context.Context) error {
	err := o.Object.Commit(ctx)
	o.dying.at(o.name)
	return err
}

// Killed wherever it may be while it copies a server: the earlier run is whole,
// the new one is there as a whole or not at all, and stands in the log if it is;
// the next run succeeds and clears away, in the vault too.
func TestKilledRun(t *testing.T) {
	t.Parallel()
	for step, made := range map[string]int{
		"snapshot": 0, "rows": 0, "keystore": 0, "erased": 0,
		"shared.tar.zst.age": 0, "RESTORE.md": 0, "MANIFEST.json": 0, "MANIFEST.json.sig": 1,
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.1")
			w := newWorld(t)
			w.customer(t, w.a, "anton@example.org")
			s := w.safe(t)
			_, err := s.job.Run(t.Context())
			must(t, err)
			s.killed(t, order{Logins: w.logins, KeyFile: w.keyFile, Safe: s.places, Step: step})
			if n := s.whole(t); n != 1+made {
				t.Errorf("%d runs are committed, want %d", n, 1+made)
			}
			logged := 0
			for e, err := range w.log.Events(as(t.Context()), w.db, audit.Filter{Platform: true}) {
				must(t, err)
				if e.Action == "backup.run" {
					logged++
				}
			}
			if logged < 1+made {
				t.Errorf("%d runs stand in the log", logged)
			}
			m, err := s.job.Run(t.Context())
			must(t, err)
			if n := s.whole(t); n != 2+made || m.Number != int64(n) {
				t.Errorf("%d runs are committed, the last has the number %d", n, m.Number)
			}
			if diff := cmp.Diff(files(t, s.Folders[0]), files(t, s.Folders[1])); diff != "" {
				t.Errorf("the folders of the vault differ:\n%s", diff)
			}
		})
	}
}

// killed runs the child to its death.
func (s *safe) killed(t *testing.T, o order) {
	t.Helper()
	text, err := json.Marshal(o)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), envChild+"="+string(text))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// whole counts the committed runs, of which each must be whole.
func (s *safe) whole(t *testing.T) (n int) {
	t.Helper()
	runs, err := backup.List(t.Context(), s.target)
	must(t, err)
	for _, r := range runs {
		if r.Manifest == nil {
			continue
		}
		n++
		_, err := backup.Verify(t.Context(), s.target, r.Name, &backup.VerifyOptions{
			Signer: s.job.Signer(), Vault: s.Folders, Identities: []age.Identity{s.identity},
		})
		must(t, err)
	}
	return n
}

// files are those of a folder of the vault, but for what it has for itself.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == "vault.json" {
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(text)
		return err
	}))
	return all
}

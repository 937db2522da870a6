package interop

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/witness"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// litewitness is a witness of torchwood's, in a process of its own.
type litewitness struct{ url, key, ctl, db string }

// startWitness makes a witness with a key of its own that knows no log.
func startWitness(t *testing.T) *litewitness {
	t.Helper()
	bin := t.TempDir()
	build(t, bin, ".", "filippo.io/torchwood/cmd/litewitness", "filippo.io/torchwood/cmd/witnessctl")
	dir, err := os.MkdirTemp("", "wit") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := func(name string) string { return filepath.Join(dir, name) }
	sh := func(script string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "SSH_AUTH_SOCK="+file("s"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return strings.TrimSpace(string(out))
	}
	process(t, exec.Command("ssh-agent", "-D", "-a", file("s")))
	awaitDial(t, "unix", file("s"))
	fingerprint := sh("ssh-keygen -q -t ed25519 -N '' -f key; ssh-add -q key; ssh-keygen -l -f key.pub | cut -d' ' -f2")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	must(t, free.Close())
	cmd := exec.Command(filepath.Join(bin, "litewitness"), "-name", "witness.example/w1", "-db", file("db"), "-ssh-agent", file("s"), "-listen", address, "-key", fingerprint)
	said, err := cmd.StderrPipe()
	must(t, err)
	process(t, cmd)
	lines := bufio.NewScanner(said)
	w := &litewitness{url: "http://" + address, ctl: filepath.Join(bin, "witnessctl"), db: file("db")}
	for w.key == "" && lines.Scan() {
		if _, key, ok := strings.Cut(lines.Text(), "vkey="); ok {
			w.key = strings.Trim(strings.Fields(key)[0], `"`)
		}
	}
	go func() {
		for lines.Scan() { //nolint:revive // it must not block
		}
	}()
	awaitDial(t, "tcp", address)
	return w
}

func process(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func awaitDial(t *testing.T, network, address string) {
	t.Helper()
	for range 600 {
		if c, err := net.Dial(network, address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nobody listens at %s", address)
}

// trust tells the witness of a log.
func (w *litewitness) trust(t *testing.T, origin, key string) {
	t.Helper()
	for _, args := range [][]string{{"add-log", "-db", w.db, "-origin", origin}, {"add-key", "-db", w.db, "-origin", origin, "-key", key}} {
		if out, err := exec.CommandContext(t.Context(), w.ctl, args...).CombinedOutput(); err != nil {
			t.Fatalf("witnessctl: %v\n%s", err, out)
		}
	}
}

// publish is what a publisher does that has just started, for one tenant.
func (w *litewitness) publish(t *testing.T, s *service, tenant tenancy.ID) *audit.Publication {
	t.Helper()
	place, err := witness.New(w.url, w.key, nil)
	must(t, err)
	p, err := audit.NewPublisher(s.db, []audit.Place{place}, &audit.PublisherOptions{Tenants: []tenancy.ID{tenant}})
	must(t, err)
	out, err := p.PublishDue(t.Context())
	must(t, err)
	return out
}

func (s *service) add(t *testing.T, n int) {
	t.Helper()
	for range n {
		must(t, customers.Insert(as(t.Context(), s.tenants[0]), s.db, &customer{Email: field.New("a@example.org"), Plan: "basic"}))
	}
	s.seal(t)
}

// A witness that others wrote cosigns what grows, and nothing else: after a restore
// that nobody declared, it and the log disagree.
func TestWitness(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := startWitness(t), newService(t, "sqlite")
	s.seal(t)
	tenant := s.tenants[0]
	if p := w.publish(t, s, tenant); p.Heads != 0 || p.NotTaken != 1 {
		t.Errorf("it knows the log already: %+v", p)
	}
	log, err := audit.Verify(t.Context(), s.db, tenant, nil)
	must(t, err)
	w.trust(t, log.Origin, log.Key)
	for _, n := range []int{0, 0, 7, 300} { // once more, and then each by a publisher that asks for the size
		s.add(t, n)
		if p := w.publish(t, s, tenant); p.Heads != 1 || len(p.Disagreements) != 0 {
			t.Errorf("with %d more: %+v", n, p)
		}
	}
	export := filepath.Join(t.TempDir(), "export")
	must(t, audit.Export(t.Context(), s.db, tenant, export))
	signed, err := os.ReadFile(filepath.Join(export, "0", "checkpoint"))
	must(t, err)
	must(t, witness.Verify(signed, w.key))
	if out, ok := run(t, buildFsck(t), filepath.Join(export, "0")); !ok {
		t.Errorf("fsck of a cosigned export:\n%s", out)
	}
	size := log.Size + 307
	s.setBack(t, func() { s.add(t, 5); w.publish(t, s, tenant) })
	w.wantDisagreement(t, s, audit.RolledBack, size+5, size)
	s.add(t, 4)
	w.wantDisagreement(t, s, audit.RolledBack, size+5, size+4)
	s.add(t, 1)
	w.wantDisagreement(t, s, audit.Forked, size+5, size+5)
	s.add(t, 300)
	w.wantDisagreement(t, s, audit.Forked, size+5, size+305)
}

func (w *litewitness) wantDisagreement(t *testing.T, s *service, looks audit.Divergence, held, ours int64) {
	t.Helper()
	p := w.publish(t, s, s.tenants[0])
	if len(p.Disagreements) != 1 || p.Heads != 0 {
		t.Fatalf("got %+v", p)
	}
	if d := p.Disagreements[0]; d.Looks != looks || d.Held != held || d.Ours != ours {
		t.Errorf("got %+v", d)
	}
}

// setBack does something, and puts the files back as they were before.
func (s *service) setBack(t *testing.T, do func()) {
	t.Helper()
	backup := filepath.Join(t.TempDir(), "backup")
	must(t, s.db.Close())
	s.sh(t, s.root, "cp -a "+s.data+" "+backup)
	s.open(t)
	do()
	must(t, s.db.Close())
	s.sh(t, s.root, "rm -r "+s.data+" && cp -a "+backup+" "+s.data)
	s.open(t)
}

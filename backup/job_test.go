package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/tenancy"
)

func TestRun(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	first := w.run(t)
	m := w.run(t)
	if first.Number != 1 || first.Previous != nil || m.Number != 2 || m.Previous == nil || m.Previous.Run != first.Run {
		t.Errorf("first %d %v, second %d %v", first.Number, first.Previous, m.Number, m.Previous)
	}
	if len(m.Parts) != 3 || m.Parts[0].Name != "shared.tar.zst.age" || len(m.Parts[0].Recipients) != 2 {
		t.Errorf("parts: %v", m.Parts)
	}
	for _, p := range m.Parts[1:] {
		if len(p.Recipients) != 1 || slices.Contains(w.recipients(), p.Recipients[0]) {
			t.Errorf("%s can be opened by %v: the tenant's identity alone must", p.Name, p.Recipients)
		}
	}
	if committed, incomplete := w.list(t); len(committed) != 2 || len(incomplete) != 0 || committed[1] != m.Run {
		t.Errorf("runs: %v, %v", committed, incomplete)
	}
	if n := count(actions(t, w, audit.Filter{Platform: true}), "backup.run"); n != 2 {
		t.Errorf("%d runs in the platform's log, want 2", n)
	}
	figures, err := w.job.Check(t.Context())
	must(t, err)
	got := attrs(figures)
	for key, want := range map[string]string{"newest": m.Run, "committed": "2", "incomplete": "0", "foreign": "0", "recipients": "2",
		"vault_folders": "2", "stale_recipients": "0", "keystore_copies": "2", "ledger_entries": "0"} {
		if fmt.Sprint(got[key]) != want {
			t.Errorf("%s = %v, want %s", key, got[key], want)
		}
	}
	rep, err := backup.Verify(t.Context(), w.to, m.Run, &backup.VerifyOptions{
		Signer: w.job.Signer(), Vault: w.vaults, Identities: []age.Identity{w.ops[1]},
	})
	must(t, err)
	if rep.Opened != 3 || rep.Rows == 0 || !rep.Keystore || !rep.SignerGiven {
		t.Errorf("report: %+v", rep)
	}
	if left, _ := filepath.Glob(w.data + "/.backup-*"); len(left) > 0 {
		t.Errorf("left in the data: %v", left)
	}
}

// Nothing in target and vault tells of a person or a tenant, and no identity
// that opens a tenant's part is anywhere on the machine.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	must(t, w.db.Erase(in(t.Context(), w.a), w.add(t, w.a, 1)[0].ID))
	w.run(t)
	outside := readAll(t, append(w.vaults, w.target)...)
	for _, canary := range []string{tenantName, emailCanary, cityCanary, planCanary, holdPayload, w.a.String(), w.b.String(), "platform.db\x00", "customers\x00"} {
		if bytes.Contains(outside, []byte(canary)) {
			t.Errorf("%q stands in target or vault", canary)
		}
	}
	if bytes.Contains(readAll(t, append(w.vaults, w.target, w.data)...), []byte("AGE-SECRET-KEY-1")) {
		t.Error("an identity stands on the machine")
	}
	inside := readAll(t, w.data)
	for _, canary := range []string{tenantName, cityCanary, planCanary, w.a.String()} {
		if !bytes.Contains(inside, []byte(canary)) {
			t.Errorf("%q does not even stand in the data: the test looks for the wrong thing", canary)
		}
	}
}

func TestOpenSSHChecksTheSignature(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	m := w.run(t)
	allowed := filepath.Join(t.TempDir(), "allowed")
	must(t, os.WriteFile(allowed, []byte("art32-backup "+w.job.Signer()+"\n"), 0o600))
	text, err := os.ReadFile(w.path(m.Run + "/MANIFEST.json"))
	must(t, err)
	check := func(text []byte, namespace string) error {
		cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "art32-backup",
			"-n", namespace, "-s", w.path(m.Run+"/MANIFEST.json.sig"))
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	must(t, check(text, "art32-backup"))
	if check(append(bytes.Clone(text), ' '), "art32-backup") == nil || check(text, "art32-vault") == nil {
		t.Error("ssh-keygen accepts what was changed")
	}
}

// What ssh-keygen signs is what this package checks.
func TestSignatureOfOpenSSH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "text")
	must(t, os.WriteFile(file, []byte("text\n"), 0o600))
	for _, args := range [][]string{
		{"-q", "-t", "ed25519", "-N", "", "-f", key},
		{"-Y", "sign", "-q", "-f", key, "-n", "art32-backup", file},
	} {
		if out, err := exec.CommandContext(t.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	public, err := os.ReadFile(key + ".pub")
	must(t, err)
	sig, err := os.ReadFile(file + ".sig")
	must(t, err)
	must(t, backup.VerifySignature(string(public), []byte("text\n"), sig))
	wantErr(t, backup.VerifySignature(string(public), []byte("text"), sig), backup.ErrSignature)
}

// refusing is a recorder that cannot write.
type refusing struct{}

var errRefused = errors.New("the log is full")

func (refusing) Record(context.Context, string, ...slog.Attr) error { return errRefused }

func TestNoEntryNoBackup(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	job, err := backup.New(sqlitesource.New(w.data, nil), w.to, w.vault, w.keys, refusing{}, nil)
	must(t, err)
	_, err = job.Run(t.Context())
	wantErr(t, err, errRefused)
	if left := w.objects(t); len(left) > 0 {
		t.Errorf("left in the target: %v", left)
	}
	for _, dir := range w.vaults {
		if left, _ := filepath.Glob(dir + "/keystores/*"); len(left) > 0 {
			t.Errorf("left in the vault: %v", left)
		}
	}
}

func (w *world) objects(tb testing.TB) []string {
	tb.Helper()
	names, err := w.to.List(tb.Context(), "")
	must(tb, err)
	return names
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	var second error
	job, err := w.newJob(new(backup.Options).OnStep(func(name string) {
		if name == "parts" {
			_, second = w.job.Run(t.Context())
		}
	}))
	must(t, err)
	_, err = job.Run(t.Context())
	must(t, err)
	wantErr(t, second, backup.ErrBusy)
}

func TestARunThatIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.run(t)
	ctx, cancel := context.WithCancel(t.Context())
	job, err := w.newJob(new(backup.Options).OnStep(func(name string) {
		if name == "parts" {
			cancel()
		}
	}))
	must(t, err)
	_, err = job.Run(ctx)
	wantErr(t, err, context.Canceled)
	if committed, incomplete := w.list(t); len(committed) != 1 || len(incomplete) != 0 || committed[0] != first.Run {
		t.Errorf("runs: %v, %v", committed, incomplete)
	}
}

// A clock that was wrong changes neither the order of the runs nor which copies
// of the keystore are kept.
func TestTheClockJumpsBack(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	for range 3 {
		w.run(t)
	}
	w.close()
	var old *backup.Manifest
	synctest.Test(t, func(t *testing.T) { // begins in the year 2000
		c := *w
		must(t, c.tryOpen(t))
		defer c.close()
		old = c.run(t)
	})
	w.open(t)
	if !strings.HasPrefix(old.Run, "2000") || old.Number != 4 {
		t.Fatalf("the clock did not jump: %s, number %d", old.Run, old.Number)
	}
	if committed, _ := w.list(t); committed[3] != old.Run {
		t.Errorf("the newest is %s", committed[3])
	}
	_, _, err := w.restore(t, old.Run, w.restoreOptions(t))
	must(t, err)
}

// A target in which a run's signature was deleted holds a run that was
// committed once: it is shown and not removed.
func TestALostSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := w.run(t)
	w.run(t)
	must(t, os.Remove(w.path(lost.Run+"/MANIFEST.json.sig")))
	m, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrDamaged)
	if m == nil || !strings.Contains(err.Error(), lost.Run) {
		t.Fatalf("run %v, error %v: want a run, and that %s is missing", m, err, lost.Run)
	}
	committed, incomplete := w.list(t)
	if len(committed) != 2 || len(incomplete) != 1 || incomplete[0] != lost.Run {
		t.Errorf("runs: %v, %v", committed, incomplete)
	}
}

func TestRunNeedsNoTenantAndNoActor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.job.Run(tenancy.WithTenant(t.Context(), w.a))
	must(t, err)
	if slices.Contains(actions(t, w, audit.Filter{}), "backup.run") {
		t.Error("the run stands in the log of the tenant in the context")
	}
}

func TestManifestInOneValueALine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.run(t)
	text, err := os.ReadFile(w.path(m.Run + "/MANIFEST.json"))
	must(t, err)
	again, err := backup.ParseManifest(text)
	must(t, err)
	want, err := json.Marshal(m)
	must(t, err)
	got, err := json.Marshal(again)
	must(t, err)
	if !bytes.Equal(want, got) {
		t.Errorf("read back as\n%s\nwant\n%s", got, want)
	}
	if n := strings.Count(string(text), `"sha256": "`); n != strings.Count(string(text), "\n      \"sha256\": \"")+strings.Count(string(text), "\n    \"sha256\": \"") || n != 3+2+1 {
		t.Errorf("%d digests on lines of their own:\n%s", n, text)
	}
	if time.Since(m.Ended) < 0 || m.Ended.Before(m.Began) {
		t.Errorf("from %v to %v", m.Began, m.Ended)
	}
}

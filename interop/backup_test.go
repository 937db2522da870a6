package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

var customerTables = fstest.MapFS{"0001_customers.sql": {Data: []byte(
	`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}

// service is a program with backups, as an operator sets it up.
type service struct {
	root    string
	path    string // PATH with age on it
	vaults  []string
	db      *tenancy.DB
	keys    *keyring.Ring
	store   *sqlite.Keystore
	vault   *backup.Vault
	target  *dirtarget.Target
	job     *backup.Job
	tenants []tenancy.ID
}

// TestRestoreByHand restores a backup with age, zstd, tar, ssh-keygen and
// sqlite3 alone: once with the commands of RESTORE.md as they stand there, once
// with restore.sh. Then the erasures are repeated.
func TestRestoreByHand(t *testing.T) {
	t.Parallel()
	s := newService(t)
	want := s.plans(t)
	m, err := s.job.Run(t.Context())
	must(t, err)
	var gone customer
	for c, err := range customers.List(as(t.Context(), s.tenants[0]), s.db) {
		must(t, err)
		gone = c
	}
	must(t, s.db.Erase(as(t.Context(), s.tenants[0]), gone.ID))
	run := filepath.Join(s.root, "target", m.Run)
	for name, unpack := range map[string]func(t *testing.T, run, out string){
		"RESTORE.md": s.byInstructions,
		"restore.sh": s.byScript,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.3")
			work := t.TempDir()
			mine := filepath.Join(work, m.Run)
			must(t, os.CopyFS(mine, os.DirFS(run)))
			unpack(t, mine, filepath.Join(work, "out"))
			data := filepath.Join(work, "new")
			s.sh(t, mine, s.instructions(t, run, data, filepath.Join(work, "out"))[loading])
			s.opens(t, data, want, gone)
		})
	}
	t.Run("restore.sh refuses", func(t *testing.T) { s.refusals(t, run) })
	t.Run("restore.sh ends", func(t *testing.T) { s.interrupted(t, run) })
}

// interrupted ends restore.sh, as Ctrl-C does, at each program that it calls
// while a tenant's identity lies in clear: it must not stay.
func (s *service) interrupted(t *testing.T, run string) {
	t.Helper()
	for _, signal := range []string{"INT", "TERM", "HUP"} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.3")
			bin, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
			tar := "#!/bin/sh\ncase \"$*\" in *tenants*) [ -s " + out + "/.work/identity ] && touch " + bin + "/seen; kill -" + signal + " $PPID;; esac\n"
			must(t, os.WriteFile(filepath.Join(bin, "tar"), []byte(tar), 0o700))
			cmd := s.command(t, run, fmt.Sprintf("exec sh ./restore.sh %s %s %s/operator.txt %s/signer.pub %s", run, s.vaults[0], s.root, s.root, out))
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+s.path)
			if said, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("it went on:\n%s", said)
			}
			if _, err := os.Lstat(filepath.Join(bin, "seen")); err != nil {
				t.Error("no identity lay there when it ended")
			}
			if _, err := os.Lstat(filepath.Join(out, ".work")); err == nil {
				t.Error("its work is left, and with it an identity in clear")
			}
		})
	}
}

// restore.sh believes a tombstone if the signer signed it, for that tenant.
func TestTombstonesByHand(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	s := newService(t)
	m, err := s.job.Run(t.Context())
	must(t, err)
	run := filepath.Join(s.root, "target", m.Run)
	name := strings.TrimSuffix(filepath.Base(m.Parts[1].Name), ".tar.zst.age")
	script := func(vault string) (string, error) {
		out := filepath.Join(t.TempDir(), "out")
		said, err := s.command(t, run, fmt.Sprintf("sh ./restore.sh . %s %s/operator.txt %s/signer.pub %s", vault, s.root, s.root, out)).CombinedOutput()
		return string(said), err
	}
	forged := filepath.Join(t.TempDir(), "vault")
	must(t, os.CopyFS(forged, os.DirFS(s.vaults[0])))
	must(t, os.WriteFile(filepath.Join(forged, "tenants", name+".forgotten"), []byte(`{"tenant":"`+name+`"}`), 0o600))
	if said, err := script(forged); err == nil || !strings.Contains(said, "not signed") {
		t.Errorf("without a signature: %v\n%s", err, said)
	}
	for _, id := range s.tenants {
		must(t, s.vault.Forget(t.Context(), id))
	}
	if said, err := script(s.vaults[0]); err != nil || strings.Count(said, "given up for ever") != len(s.tenants) {
		t.Errorf("%v\n%s", err, said)
	}
	other := strings.TrimSuffix(filepath.Base(m.Parts[2].Name), ".tar.zst.age")
	for _, end := range []string{".forgotten", ".forgotten.sig"} {
		b, err := os.ReadFile(filepath.Join(s.vaults[0], "tenants", other+end))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(forged, "tenants", name+end), b, 0o600))
	}
	if said, err := script(forged); err == nil || !strings.Contains(said, "that of another") {
		t.Errorf("with another tenant's: %v\n%s", err, said)
	}
}

// The blocks of commands in the English half of RESTORE.md.
const (
	signature = iota
	sharedAndKeys
	eachTenant
	loading
)

var block = regexp.MustCompile("(?s)```sh\n(.*?)```")

// instructions are the blocks with the words in capitals filled in.
func (s *service) instructions(t *testing.T, run, data, out string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, "RESTORE.md"))
	must(t, err)
	_, english, found := strings.Cut(string(text), "## English")
	if !found {
		t.Fatal("no English half")
	}
	fill := strings.NewReplacer("OUT", out, "IDENTITY", s.root+"/escrow.txt", "VAULT", s.vaults[1], "NEW", data, "signer.pub", s.root+"/signer.pub")
	var blocks []string
	for _, b := range block.FindAllStringSubmatch(english, -1) {
		blocks = append(blocks, fill.Replace(b[1]))
	}
	if len(blocks) != loading+1 {
		t.Fatalf("%d blocks of commands, want %d", len(blocks), loading+1)
	}
	return blocks
}

func (s *service) byInstructions(t *testing.T, run, out string) {
	blocks := s.instructions(t, run, "", out)
	if got := s.sh(t, run, blocks[signature]); !strings.Contains(got, `Good "art32-backup" signature`) {
		t.Fatalf("the signature: %s", got)
	}
	s.sh(t, run, blocks[sharedAndKeys])
	parts, err := filepath.Glob(run + "/tenants/*")
	must(t, err)
	if len(parts) != len(s.tenants) {
		t.Fatalf("parts: %v", parts)
	}
	for _, p := range parts {
		name := strings.TrimSuffix(filepath.Base(p), ".tar.zst.age")
		s.sh(t, run, strings.Replace(blocks[eachTenant], "T=…", "T="+name, 1))
	}
}

func (s *service) byScript(t *testing.T, run, out string) {
	t.Log(s.sh(t, run, fmt.Sprintf("sh ./restore.sh . %s %s/operator.txt %s/signer.pub %s", s.vaults[0], s.root, s.root, out)))
	if _, err := os.Lstat(out + "/.work"); err == nil {
		t.Error("restore.sh leaves its work behind")
	}
}

// refusals are what restore.sh must not unpack.
func (s *service) refusals(t *testing.T, run string) {
	damage := func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(path, b, 0o600))
	}
	for name, c := range map[string]struct {
		spoil    func(t *testing.T, run string)
		identity string
		signer   string
		says     string
	}{
		"damaged part":     {func(t *testing.T, run string) { damage(t, run+"/shared.tar.zst.age") }, "operator.txt", "signer.pub", "damaged"},
		"damaged manifest": {func(t *testing.T, run string) { damage(t, run+"/MANIFEST.json") }, "operator.txt", "signer.pub", "signature"},
		"no signature":     {func(t *testing.T, run string) { must(t, os.Remove(run+"/MANIFEST.json.sig")) }, "operator.txt", "signer.pub", "incomplete"},
		"another signer":   {func(*testing.T, string) {}, "operator.txt", "other.pub", "signature"},
		"another run's name": {func(t *testing.T, run string) {
			must(t, os.Rename(run, run+"x")) // as an older one that lies in the newer one's folder
			must(t, os.Symlink(run+"x", run))
		}, "operator.txt", "signer.pub", "exchanged"},
		"wrong identity": {func(*testing.T, string) {}, "stranger.txt", "signer.pub", "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := filepath.Join(t.TempDir(), filepath.Base(run))
			must(t, os.CopyFS(work, os.DirFS(run)))
			c.spoil(t, work)
			out := filepath.Join(t.TempDir(), "out")
			cmd := s.command(t, run, fmt.Sprintf("sh ./restore.sh %s %s %s/%s %s/%s %s", work, s.vaults[0], s.root, c.identity, s.root, c.signer, out))
			said, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(said), c.says) {
				t.Errorf("err %v, said:\n%s", err, said)
			}
			if left, _ := filepath.Glob(out + "/*/*"); len(left) > 0 {
				t.Errorf("unpacked: %v", left)
			}
		})
	}
}

func (s *service) command(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+s.path)
	return cmd
}

func (s *service) sh(t *testing.T, dir, script string) string {
	t.Helper()
	out, err := s.command(t, dir, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return string(out)
}

// opens opens what was restored, repeats the erasures and compares.
func (s *service) opens(t *testing.T, data string, want map[tenancy.ID][]string, gone customer) {
	t.Helper()
	r := &service{root: s.root, vaults: s.vaults, tenants: s.tenants}
	r.open(t, data)
	missed, err := backup.Missed(t.Context(), r.db, r.keys, r.store, r.vaults[0]) // one that survived
	must(t, err)
	n, err := backup.Replay(as(t.Context(), tenancy.ID{}), r.db, r.keys, r.store, r.vaults[0])
	must(t, err)
	if n != 1 || missed != 1 {
		t.Errorf("%d erasures missed, %d repeated, want 1", missed, n)
	}
	got := r.plans(t)
	for _, id := range s.tenants {
		expect := slices.Clone(want[id])
		for i, line := range expect {
			if strings.HasPrefix(line, gone.ID.String()) {
				expect[i] = gone.ID.String() + " " + gone.Plan + " " + field.ErrErased.Error()
			}
		}
		if !slices.Equal(got[id], expect) {
			t.Errorf("tenant %s: %v, want %v", id, got[id], expect)
		}
	}
}

// plans lists all customers.
func (s *service) plans(t *testing.T) map[tenancy.ID][]string {
	t.Helper()
	all := map[tenancy.ID][]string{}
	for _, id := range s.tenants {
		for c, err := range customers.List(as(t.Context(), id), s.db) {
			must(t, err)
			mail, err := c.Email.Reveal()
			if err != nil {
				mail = err.Error()
			}
			all[id] = append(all[id], c.ID.String()+" "+c.Plan+" "+mail)
		}
		slices.Sort(all[id])
	}
	return all
}

func as(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(tenancy.WithActor(ctx, tenancy.MustService("interop")), id)
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{root: t.TempDir()}
	bin := t.TempDir()
	s.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	for _, tool := range []string{"age", "age-keygen"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, tool), "filippo.io/age/cmd/"+tool)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", tool, err, out)
		}
	}
	for _, name := range []string{"target", "vault-a", "vault-b"} {
		must(t, os.Mkdir(filepath.Join(s.root, name), 0o700))
	}
	s.vaults = []string{filepath.Join(s.root, "vault-a"), filepath.Join(s.root, "vault-b")}
	s.sh(t, s.root, `for who in operator escrow stranger; do age-keygen -o $who.txt; age-keygen -y $who.txt > $who.pub; done
		ssh-keygen -q -t ed25519 -N '' -f other`)
	must(t, keyring.CreateKeyFile(filepath.Join(s.root, "root.key")))
	s.open(t, filepath.Join(s.root, "data"))
	must(t, os.WriteFile(filepath.Join(s.root, "signer.pub"), []byte(s.job.Signer()+"\n"), 0o600))
	for i := range 2 {
		made, err := s.db.CreateTenant(as(t.Context(), tenancy.ID{}), tenancy.Tenant{Name: "Tenant"})
		must(t, err)
		s.tenants = append(s.tenants, made.ID)
		for n := range 3 {
			c := customer{Email: field.New(fmt.Sprintf("%d-%d@example.org", i, n)), Plan: "basic"}
			must(t, customers.Insert(as(t.Context(), made.ID), s.db, &c))
		}
	}
	return s
}

func (s *service) recipient(t *testing.T, who string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.root, who+".pub"))
	must(t, err)
	return strings.TrimSpace(string(b))
}

// open opens the data in dir with the service's keys and vault.
func (s *service) open(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	wrapper, err := keyring.KeyFile(filepath.Join(s.root, "root.key"))
	must(t, err)
	s.store, err = sqlite.OpenKeystore(ctx, dir)
	must(t, err)
	t.Cleanup(func() { _ = s.store.Close() })
	s.keys, err = keyring.New(wrapper, s.store, nil)
	must(t, err)
	log, err := audit.New(s.keys, nil)
	must(t, err)
	s.vault, err = backup.OpenVault(ctx, s.keys, []string{s.recipient(t, "operator"), s.recipient(t, "escrow")}, s.vaults...)
	must(t, err)
	s.db, err = sqlite.Open(ctx, dir, tenancy.Schema{customers}, s.keys, log, &sqlite.Options{Migrations: customerTables, Ledger: s.vault.Ledger()})
	must(t, err)
	t.Cleanup(func() { _ = s.db.Close() })
	s.target, err = dirtarget.Open(filepath.Join(s.root, "target"))
	must(t, err)
	t.Cleanup(func() { _ = s.target.Close() })
	recorder, err := audit.NewRecorder(log, s.db)
	must(t, err)
	s.job, err = backup.New(sqlitesource.New(dir, nil), s.target, s.vault, s.keys, recorder, nil)
	must(t, err)
}

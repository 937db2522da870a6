package interop

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
)

// TestRestoreByHand does what RESTORE.md says, to the letter, from the first
// command to the last: with age, zstd, tar, ssh-keygen and sqlite3 or psql, once
// each step by hand and once with restore.sh, and with art32 at the end.
func TestRestoreByHand(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newService(t, engine)
			build(t, filepath.SplitList(s.path)[0], "..", "./cmd/art32")
			s.seal(t)
			if engine == "sqlite" {
				s.erase(t) // the ledger's state at the run is a line of it
			}
			m, err := s.job.Run(t.Context())
			must(t, err)
			s.erase(t)
			want := s.plans(t)
			for name, script := range map[string]bool{"each step": false, "restore.sh": true} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					t.Attr("art32.measure", "TOM-7.3")
					g := s.guide(t, m, script)
					said := s.sh(t, g.work, g.script)
					for _, must := range g.says {
						if !strings.Contains(said, must) {
							t.Errorf("it does not say %q:\n%s", must, said)
						}
					}
					if strings.Contains(said, "DAMAGED") {
						t.Errorf("damaged:\n%s", said)
					}
					if diff := cmp.Diff(want, g.restored(t).plans(t)); diff != "" {
						t.Errorf("customers (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

// guide is the text of a run, filled in: one script, and what it must say.
type guide struct {
	from   *service
	work   string
	values map[string]string
	script string
	says   []string
}

var (
	shell  = regexp.MustCompile("(?s)\n```sh\n(.*?)```")
	script = regexp.MustCompile("`(sh restore.sh [^`]*)`")
	// blank is what the reader must fill in: NAME=…
	blank = regexp.MustCompile(`(?m)^((?:export )?([A-Z0-9_]+)=)\S*…\S*`)
)

// guide reads the English half.
func (s *service) guide(t *testing.T, m *backup.Manifest, byScript bool) *guide {
	t.Helper()
	run := filepath.Join(s.root, "target", m.Run)
	g := &guide{from: s, work: t.TempDir()}
	mine := filepath.Join(g.work, m.Run)
	must(t, os.CopyFS(mine, os.DirFS(run)))
	g.values = map[string]string{
		"RUN": mine, "VAULT": s.vaults[1], "IDENTITY": s.root + "/escrow.txt", "SIGNER": s.root + "/signer.pub",
		"KEY": s.root + "/root.key", "OUT": g.work + "/out", "NEW": g.work + "/new",
	}
	g.says = []string{"erasures repeated: 1\n", "3 of 3 logs as they were sealed"}
	if s.engine == "postgres" {
		g.server(t)
	} else {
		g.says = append(g.says, "\nok\n", m.Ledger.Head)
	}
	text, err := os.ReadFile(run + "/RESTORE.md")
	must(t, err)
	_, english, _ := strings.Cut(string(text), "\n## English")
	paths, rest, _ := strings.Cut(english, "\n### 1.")
	steps, end, ok := strings.Cut(rest, "\n### 5.")
	if !ok {
		t.Fatal("no English half with its steps")
	}
	g.add(t, m, paths)
	if byScript {
		g.script += script.FindStringSubmatch(paths)[1] + "\n"
	} else {
		g.add(t, m, steps)
		g.says = append(g.says, `Good "art32-backup" signature`, m.Keystore.Name+": OK", "RESTORE.md: OK", "restore.sh: OK", m.Parts[0].Name+": OK", m.Parts[1].Name+": OK")
	}
	g.add(t, m, end)
	return g
}

// add adds the commands of a section, with its blanks filled in.
func (g *guide) add(t *testing.T, m *backup.Manifest, section string) {
	t.Helper()
	for _, b := range shell.FindAllStringSubmatch(section, -1) {
		each := []string{""}
		if strings.HasPrefix(b[1], "T=") {
			each = nil
			for _, p := range m.Parts[1:] {
				each = append(each, strings.TrimSuffix(filepath.Base(p.Name), ".tar.zst.age"))
			}
		}
		for _, tenant := range each {
			g.values["T"] = tenant
			g.script += blank.ReplaceAllStringFunc(b[1], func(line string) string {
				parts := blank.FindStringSubmatch(line)
				value, ok := g.values[parts[2]]
				if !ok {
					t.Fatalf("nobody knows what to fill in: %s", line)
				}
				return parts[1] + "'" + value + "'"
			})
		}
	}
}

// server names a database that does not exist, and puts psql into the shell.
func (g *guide) server(t *testing.T) {
	t.Helper()
	owner := dbtest.Postgres(t)
	u, err := url.Parse(owner)
	must(t, err)
	g.values["NEW"], g.values["ART32_OWNER_DSN"] = strings.TrimPrefix(u.Path, "/"), owner
	password, _ := u.User.Password()
	g.script = "export PGHOST='" + u.Hostname() + "' PGPORT='" + u.Port() + "' PGUSER='" + u.User.Username() + "' PGPASSWORD='" + password + "'\n" +
		"PATH='" + filepath.Dir(dbtest.Program(t, "psql")) + "':$PATH\ndropdb '" + g.values["NEW"] + "'\n"
}

// restored opens what was restored.
func (g *guide) restored(t *testing.T) *service {
	t.Helper()
	s := g.from
	r := &service{engine: s.engine, root: s.root, vaults: s.vaults, tenants: s.tenants, data: g.values["NEW"]}
	if s.engine == "postgres" {
		file, err := os.ReadFile(g.values["OUT"] + ".env")
		must(t, err)
		for line := range strings.Lines(string(file)) {
			name, dsn, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch name {
			case "ART32_DSN":
				r.logins.Library = dsn
			case "ART32_APP_DSN":
				r.logins.App = dsn
			case "ART32_BACKUP_DSN":
				r.logins.Backup = dsn
			}
		}
	}
	r.open(t)
	n, err := backup.Replay(as(t.Context(), tenancy.ID{}), r.db, r.keys, r.store, r.vaults[0])
	must(t, err)
	if n != 0 {
		t.Errorf("%d erasures were left to repeat", n)
	}
	return r
}

package keyring_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// stage is a keystore whose rotations are killed.
type stage struct {
	dialect migrate.Dialect
	dsn     string
	db      *sql.DB
	store   keyring.Store
	root    string // key file
}

// stages runs test on both engines.
func stages(t *testing.T, test func(t *testing.T, s stage)) {
	t.Helper()
	for _, d := range []migrate.Dialect{migrate.SQLite, migrate.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			s := stage{dialect: d, root: keyFile(t)}
			if d == migrate.SQLite {
				s.dsn = fileDSN(filepath.Join(t.TempDir(), "keys.db"))
				s.db = open(t, "sqlite", s.dsn)
				up(t, s.db, d)
			} else {
				s.dsn = postgresDSN(t)
				s.db = open(t, "pgx", s.dsn)
			}
			s.store = keyring.SQLStore(s.db, d)
			test(t, s)
		})
	}
}

func keyFile(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "root.key")
	noError(tb, keyring.CreateKeyFile(path))
	return path
}

// kill has a job killed before each of its writing statements, on a tenant of
// its own each time, until one comes through. After each, check looks at what
// the killed one has left, the job is done again, and done looks at the end.
func (s stage) kill(t *testing.T, prepare func(j *job) (check, done func())) {
	t.Helper()
	killed := 0
	for step := int64(0); ; step++ {
		j := job{Dialect: s.dialect, DSN: s.dsn, Roots: []string{s.root}, Tenant: uuid.New(), Step: step}
		check, done := prepare(&j)
		was := j.killed(t)
		check()
		for range 2 { // done again, and again when it is done
			if got := value(j.do(t.Context(), j.ring(t, s.store)))(t); got.Left != 0 {
				t.Errorf("killed before %d: again: %+v", step, got)
			}
			done()
		}
		if !was {
			break
		}
		killed++
	}
	if t.Logf("%d processes killed", killed); killed < 2 {
		t.Errorf("%d processes killed, want at least 2", killed)
	}
}

func TestKilledRotate(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	stages(t, func(t *testing.T, s stage) {
		for _, kind := range kinds {
			t.Run(string(kind), func(t *testing.T) {
				s.kill(t, func(j *job) (check, done func()) {
					r := j.ring(t, s.store)
					all := seal(t, r, j.Tenant, 6)
					j.Verb, j.Kind, j.Before = "rotate", kind, time.Now()
					check = func() { all.opens(t, j.ring(t, s.store)) }
					return check, func() {
						check()
						all.more(t, j.ring(t, s.store))
						s.rotatedOnce(t, j)
					}
				})
			})
		}
	})
}

// rotatedOnce looks whether nothing was doubled.
func (s stage) rotatedOnce(t *testing.T, j *job) {
	t.Helper()
	all := versions(t, s.store, j.Tenant)
	for name, records := range all {
		want := "1 active "
		switch {
		case name == "tenant" && j.Kind == keyring.KEK, name == "index" && j.Kind == keyring.IndexKeys,
			name == "data" && j.Kind == keyring.DataKey, len(name) == len("subject/")+36 && j.Kind == keyring.SubjectKeys:
			want = "1 retired 2 active "
		}
		if got := states(records); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		for _, rec := range records {
			if under := rec.Wrapped[4]; name != "tenant" && int(under) != len(all["tenant"]) {
				t.Errorf("%s is wrapped by version %d of the KEK", name, under)
			}
		}
	}
}

func TestKilledRotateRoot(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	stages(t, func(t *testing.T, s stage) {
		from := s.root
		first := job{Roots: []string{from}}.ring(t, s.store)
		all := seal(t, first, acme, 1)
		seal(t, first, bolt, 1)
		s.kill(t, func(j *job) (check, done func()) {
			old, next := from, keyFile(t)
			from = next
			j.Verb, j.Roots = "root", []string{next, old}
			check = func() {
				all.opens(t, j.ring(t, s.store))
				behind := *j // an instance that has not heard of it yet
				behind.Roots = []string{old, next}
				all.opens(t, behind.ring(t, s.store))
			}
			return check, func() {
				alone := *j
				alone.Roots = []string{next}
				r := alone.ring(t, s.store)
				all.opens(t, r)
				value(r.Check(t.Context()))(t)
				gone := *j
				gone.Roots = []string{old}
				if _, err := gone.ring(t, s.store).Check(t.Context()); !errors.Is(err, keyring.ErrRoot) {
					t.Errorf("the old root: %v", err)
				}
			}
		})
	})
}

func TestKilledDestroy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	stages(t, func(t *testing.T, s stage) {
		for _, kind := range kinds {
			t.Run(string(kind), func(t *testing.T) {
				s.kill(t, func(j *job) (check, done func()) {
					r := j.ring(t, s.store)
					noError(t, r.CreateTenant(t.Context(), j.Tenant))
					value(r.CreateCiphers(t.Context(), j.Tenant, subjects(3)))(t)
					value(r.Rotate(t.Context(), j.Tenant, kind, time.Now(), nil))(t)
					all := seal(t, j.ring(t, s.store), j.Tenant, 2) // under what stays
					j.Verb, j.Destroy = "destroy", ripe(t, r, j.Tenant)
					check = func() { all.opens(t, j.ring(t, s.store)) }
					return check, func() {
						check()
						for name, records := range versions(t, s.store, j.Tenant) {
							if len(records) == 2 && (states(records) != "1 destroyed 2 active " || records[0].Wrapped != nil) {
								t.Errorf("%s: %s", name, states(records))
							}
						}
					}
				})
			})
		}
	})
}

// ripe waits until the retired versions may be destroyed.
func ripe(t *testing.T, r *keyring.Ring, tenant uuid.UUID) (list []keyring.Version) {
	t.Helper()
	for v, err := range r.Retired(t.Context(), tenant) {
		noError(t, err)
		list = append(list, v)
	}
	if len(list) == 0 {
		t.Fatal("nothing is retired")
	}
	for range time.Tick(quick.Grace) {
		if time.Since(list[len(list)-1].Since) > 2*quick.Grace {
			break
		}
	}
	return list
}

func TestKilledShredTenant(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	stages(t, func(t *testing.T, s stage) {
		neighbour := seal(t, job{Roots: []string{s.root}}.ring(t, s.store), bolt, 3)
		s.kill(t, func(j *job) (check, done func()) {
			all := seal(t, j.ring(t, s.store), j.Tenant, 6)
			j.Verb = "shred"
			check = func() {
				r := j.ring(t, s.store)
				neighbour.opens(t, r)
				switch err := all.try(t.Context(), r); {
				case err == nil: // killed before the tombstone
				case !errors.Is(err, keyring.ErrErased):
					t.Errorf("neither there nor erased: %v", err)
				}
			}
			return check, func() {
				check()
				s.shredded(t, j.ring(t, s.store), all)
			}
		})
	})
}

// shredded looks whether nothing of a tenant is left.
func (s stage) shredded(t *testing.T, r *keyring.Ring, all *sealed) {
	t.Helper()
	ctx := t.Context()
	for verb, err := range map[string]error{
		"Cipher":       second(r.Cipher(ctx, all.tenant, all.people[0])),
		"a new one":    second(r.CreateCipher(ctx, all.tenant, uuid.New())),
		"never one":    second(r.Cipher(ctx, all.tenant, uuid.New())),
		"TenantCipher": second(r.TenantCipher(ctx, all.tenant)),
		"IndexKeys":    second(r.IndexKeys(ctx, all.tenant)),
		"Secret":       second(r.Secret(ctx, all.tenant, "seed")),
		"CreateTenant": r.CreateTenant(ctx, all.tenant),
		"Rotate":       second(r.Rotate(ctx, all.tenant, keyring.SubjectKeys, time.Now(), nil)),
	} {
		if !errors.Is(err, keyring.ErrErased) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if gone, err := r.Erased(ctx, all.tenant, all.people[0]); err != nil || !gone {
		t.Errorf("Erased: %t, %v", gone, err)
	}
	for name, records := range versions(t, s.store, all.tenant) {
		for _, rec := range records {
			if rec.Wrapped != nil || rec.State != keyring.Destroyed && name != "tenant" {
				t.Errorf("%s: version %d is %s", name, rec.Version, rec.State)
			}
		}
	}
}

// TestDiskFull lets the disk be full in the middle of each step: what stands is
// whole, and the rest is done when there is room.
func TestDiskFull(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, c := range map[string]struct {
		verb string
		kind keyring.Kind
	}{"rotate subjects": {"rotate", keyring.SubjectKeys}, "rotate KEK": {"rotate", keyring.KEK}, "shred tenant": {"shred", ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys.db")
			db := openFile(t, path)
			root, store := keyFile(t), keyring.SQLStore(db, migrate.SQLite)
			j := job{Dialect: migrate.SQLite, DSN: fileDSN(path), Roots: []string{root}, Tenant: acme, Verb: c.verb, Kind: c.kind}
			all := seal(t, j.ring(t, store), acme, 300)
			j.Before = time.Now()
			noError(t, store.(keyring.Destroyer).Settle(t.Context()))
			size := value(os.Stat(path))(t).Size()
			limited := j
			limited.Limit = uint64(size) + 8<<10
			if c.verb != "rotate" || c.kind == keyring.KEK { // the log alone grows
				limited.Limit = 48 << 10
			}
			out, err := limited.command(t).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "disk full:") {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(strings.TrimSpace(string(out)))
			if c.verb == "rotate" {
				all.opens(t, j.ring(t, store))
			}
			value(j.do(t.Context(), j.ring(t, store)))(t)
			s := stage{dialect: migrate.SQLite, db: db, store: store, root: root}
			if c.verb == "shred" {
				s.shredded(t, j.ring(t, store), all)
				return
			}
			all.opens(t, j.ring(t, store))
			s.rotatedOnce(t, &j)
		})
	}
}

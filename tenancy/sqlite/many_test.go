package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

// manyID is the id of a tenant by its number, for parent and child alike.
func manyID(i int) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(i))) }

// many writes things of random tenants for ever, on eight goroutines over few open
// files, and says of each what was committed.
func many(ctx context.Context, dir, tenants string) {
	of, err := strconv.Atoi(tenants)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	w, err := tryOpen(ctx, dir, &sqlite.Options{MaxOpen: 10})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	for range 8 {
		go func() {
			for {
				id, i := uuid.New(), rand.IntN(of)
				if _, err := w.exec(ctx, manyID(i), insertThing, id, manyID(i), nil); err != nil {
					fmt.Println("error:", err)
					return
				}
				fmt.Println(i, id)
			}
		}()
	}
	select {}
}

// TestManyTenants: a process that writes for many tenants over few open files is
// killed again and again. What it said was committed is there, in the file of its
// tenant alone; each file is whole, and is migrated when it is next used, however
// many ask for it at once.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		for i := range manyTenants {
			must(t, w.addTenant(t.Context(), manyID(i)))
		}
		must(t, w.eng.Close())
		said := map[uuid.UUID]int{}
		for range 3 {
			maps.Copy(said, killedAfter(t, manyTenants, w.dir))
		}
		if len(said) < 3*manyTenants {
			t.Fatalf("%d things were written", len(said))
		}
		later := app().(fstest.MapFS)
		later["0002_later.sql"] = &fstest.MapFile{Data: []byte("ALTER TABLE things ADD COLUMN later INTEGER;")}
		w = openAt(t, w.dir, &sqlite.Options{MaxOpen: 10, Migrations: later})
		visits := make(chan int)
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 4 {
			all.Go(func() {
				for i := range visits {
					ids, err := thingsOf(t.Context(), w, manyID(i))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					for _, id := range ids {
						if of, ok := said[id]; ok && of != i {
							t.Error("a thing lies in the file of another tenant")
						} else if ok {
							said[id] = -1
						}
					}
					mu.Unlock()
				}
			})
		}
		for i := range manyTenants {
			visits <- i
		}
		close(visits)
		all.Wait()
		for _, of := range said {
			if of >= 0 {
				t.Fatal("a thing that was committed is gone")
			}
		}
		if n := sqlite.OpenFiles(w.eng); n > 10 {
			t.Errorf("%d tenants' files are open", n)
		}
		must(t, w.eng.Close())
		for i := range manyTenants {
			whole(t, w.path(manyID(i)))
		}
	})
}

// killedAfter runs the child until it has said some lines, kills it, and returns
// what was committed for which tenant.
func killedAfter(t *testing.T, lines int, dir string) map[uuid.UUID]int {
	t.Helper()
	said := map[uuid.UUID]int{}
	cmd := command(t, "many:"+strconv.Itoa(manyTenants), dir, uuid.Nil)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	for s := bufio.NewScanner(out); s.Scan(); {
		var i int
		var id string
		if n, _ := fmt.Sscan(s.Text(), &i, &id); n != 2 || len(id) != 36 {
			if len(said) < lines { // else cut off by the kill
				t.Errorf("the child said %q", s.Text())
			}
			continue
		}
		if said[uuid.MustParse(id)] = i; len(said) == lines {
			must(t, cmd.Process.Signal(os.Kill))
		}
	}
	_ = cmd.Wait() // killed
	return said
}

// thingsOf reads a tenant's things with the column of the later migration.
func thingsOf(ctx context.Context, w world, tenant uuid.UUID) (ids []uuid.UUID, err error) {
	tx, err := w.eng.Begin(ctx, engine.Scope{Tenant: tenant})
	if err != nil {
		return nil, err
	}
	_, err = tx.Run(ctx, engine.Stmt{SQL: "SELECT id FROM main.things WHERE later IS NULL"}, engine.Commit, func(r engine.Row) error {
		var id uuid.UUID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// whole checks a file past the library.
func whole(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	var verdict string
	must(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("a file is damaged: %s", verdict)
	}
}

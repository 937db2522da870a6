package keyring_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// job is what a process does that is killed.
type job struct {
	Dialect migrate.Dialect
	DSN     string
	Roots   []string // key files, the current one first
	Tenant  uuid.UUID
	Verb    string // "rotate", "root", "destroy", "shred"
	Kind    keyring.Kind
	Before  time.Time
	Destroy []keyring.Version
	Step    int64  // the process is killed before this writing statement, from 0
	Limit   uint64 // bytes that a file of the process may have; 0: any
}

const jobEnv = "ART32_KEYRING_JOB"

func (j job) ring(tb testing.TB, store keyring.Store) *keyring.Ring {
	tb.Helper()
	var roots []keyring.Wrapper
	for _, path := range j.Roots {
		roots = append(roots, value(keyring.KeyFile(path))(tb))
	}
	r := newRing(tb, value(keyring.Roots(roots[0], roots[1:]...))(tb), store, quick)
	keyring.SetPage(r, 4)
	return r
}

func (j job) do(ctx context.Context, r *keyring.Ring) (keyring.Rotation, error) {
	switch j.Verb {
	case "rotate":
		return r.Rotate(ctx, j.Tenant, j.Kind, j.Before, nil)
	case "root":
		return r.RotateRoot(ctx, nil)
	case "destroy":
		return keyring.Rotation{}, r.Destroy(ctx, j.Tenant, j.Destroy...)
	case "shred":
		return keyring.Rotation{}, r.ShredTenant(ctx, j.Tenant)
	}
	return keyring.Rotation{}, errors.New("no such verb")
}

// TestKilledChild is the process that is killed.
func TestKilledChild(t *testing.T) {
	text := os.Getenv(jobEnv)
	if text == "" {
		return
	}
	var j job
	noError(t, json.Unmarshal([]byte(text), &j))
	if j.Limit > 0 {
		fullDisk(t, j)
		return
	}
	db := sql.OpenDB(&mortal{name: map[migrate.Dialect]string{migrate.SQLite: "sqlite", migrate.Postgres: "pgx"}[j.Dialect], dsn: j.DSN, left: j.Step})
	defer db.Close()
	value(j.do(t.Context(), j.ring(t, keyring.SQLStore(db, j.Dialect))))(t)
}

// fullDisk does a job until it cannot write any more.
func fullDisk(t *testing.T, j job) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	noError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: j.Limit, Max: j.Limit}))
	db := open(t, "sqlite", j.DSN)
	_, err := j.do(t.Context(), j.ring(t, keyring.SQLStore(db, j.Dialect)))
	if err == nil {
		t.Fatal("nothing was in the way")
	}
	if strings.Contains(err.Error(), "subject/") {
		t.Errorf("the error names what it wrote: %v", err)
	}
	fmt.Println("disk full:", err)
}

// killed reports whether a process of its own was killed before it was done.
func (j job) killed(t *testing.T) bool {
	t.Helper()
	out, err := j.command(t).CombinedOutput()
	if err == nil {
		return false
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if status, unix := exit.Sys().(syscall.WaitStatus); !ok || !unix || status.Signal() != syscall.SIGKILL {
		t.Fatalf("ended by itself: %v\n%s", err, out)
	}
	return true
}

func (j job) command(t *testing.T) *exec.Cmd {
	t.Helper()
	text := value(json.Marshal(j))(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), jobEnv+"="+string(text))
	return cmd
}

// mortal opens connections of another driver, and kills the process before one
// of the statements that write.
type mortal struct {
	name, dsn string
	left      int64
	writes    atomic.Int64
}

func (m *mortal) Driver() driver.Driver { return nil }

func (m *mortal) Connect(ctx context.Context) (driver.Conn, error) {
	pool, err := sql.Open(m.name, m.dsn)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if d, ok := pool.Driver().(driver.DriverContext); ok {
		c, err := d.OpenConnector(m.dsn)
		if err != nil {
			return nil, err
		}
		conn, err := c.Connect(ctx)
		return mortalConn{conn, m}, err
	}
	conn, err := pool.Driver().Open(m.dsn)
	return mortalConn{conn, m}, err
}

// before counts a statement that writes.
func (m *mortal) before(text string) {
	for _, verb := range []string{"INSERT INTO", "UPDATE art32", "wal_checkpoint", "COMMIT"} {
		if strings.Contains(text, verb) {
			if m.writes.Add(1) > m.left {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return
		}
	}
}

type mortalConn struct {
	driver.Conn

	m *mortal
}

var errNotOffered = errors.New("the driver does not offer it")

func (c mortalConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	c.m.before(text)
	x, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, errNotOffered
	}
	return x.ExecContext(ctx, text, args)
}

func (c mortalConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	c.m.before(text)
	q, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, errNotOffered
	}
	return q.QueryContext(ctx, text, args)
}

func (c mortalConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	b, ok := c.Conn.(driver.ConnBeginTx)
	if !ok {
		return nil, errNotOffered
	}
	tx, err := b.BeginTx(ctx, o)
	return mortalTx{tx, c.m}, err
}

func (c mortalConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type mortalTx struct {
	driver.Tx

	m *mortal
}

func (t mortalTx) Commit() error {
	t.m.before("COMMIT")
	return t.Tx.Commit()
}

package dbtest_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
)

// TestPoolerComesBack: a pooler that crashed is there again, and gone with the test.
func TestPoolerComesBack(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Postgres(t)
	var folder string
	t.Run("while it lives", func(t *testing.T) {
		through := dbtest.Pooler(t, dbtest.PoolTransactions, nil, dsn)[0]
		conn := connect(t, through+"&default_query_exec_mode=exec")
		ask[int](t, conn, "SELECT 1")
		u, err := url.Parse(through)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob("/proc/[0-9]*/cwd/settings")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			name, _ := os.Readlink(filepath.Join(filepath.Dir(filepath.Dir(file)), "exe"))
			if err != nil || !strings.Contains(string(text), "listen_port = "+u.Port()+"\n") || !strings.HasSuffix(name, "pgbouncer") {
				continue
			}
			folder, _ = os.Readlink(filepath.Dir(file))
			pid, err := strconv.Atoi(strings.Split(file, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if folder == "" {
			t.Fatal("the process of the pooler was not found")
		}
		await(t, "the pooler", func() bool {
			again, err := pgx.Connect(t.Context(), through+"&default_query_exec_mode=exec")
			return err == nil && again.Close(t.Context()) == nil
		})
	})
	if exists(folder) || inUse(t, folder) {
		t.Error("the pooler is left")
	}
}

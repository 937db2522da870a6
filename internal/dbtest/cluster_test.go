//go:build unix

package dbtest_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
)

// envChild makes this test binary act as a process that holds a cluster.
const envChild = "ART32_DBTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(envChild) == "" {
		os.Exit(m.Run())
	}
	if _, err := dbtest.StartOwn(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	if os.Getenv(envChild) == "hold" {
		select {}
	}
}

func TestClusterEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		mode string
		end  func(t *testing.T, child *exec.Cmd, folder string, out *lockedBuffer)
	}{
		"killed while it works": {"hold", func(t *testing.T, child *exec.Cmd, folder string, out *lockedBuffer) {
			t.Helper()
			await(t, "the cluster", func() bool { return strings.Contains(out.String(), "ready") })
			if isEmpty(t, folder) || !inUse(t, folder) {
				t.Fatal("the cluster lies elsewhere; this test sees nothing")
			}
			kill(t, child)
		}},
		"killed while the cluster is made": {"hold", func(t *testing.T, child *exec.Cmd, folder string, _ *lockedBuffer) {
			t.Helper()
			await(t, "the folder", func() bool { return !isEmpty(t, folder) })
			kill(t, child)
		}},
		"killed while the server starts": {"hold", func(t *testing.T, child *exec.Cmd, folder string, _ *lockedBuffer) {
			t.Helper()
			await(t, "the server", func() bool { return exists(folder + "-started") })
			kill(t, child)
		}},
		"ended": {"end", func(t *testing.T, child *exec.Cmd, _ string, out *lockedBuffer) {
			t.Helper()
			if err := child.Wait(); err != nil {
				t.Errorf("child: %v\n%s", err, out)
			}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := sharedFolder(t)
			child := exec.CommandContext(t.Context(), os.Args[0])
			out := &lockedBuffer{}
			child.Stdout = out
			child.Env = append(os.Environ(), envChild+"="+c.mode, "TMPDIR="+folder)
			if strings.Contains(name, "starts") {
				child.Env = append(child.Env, "ART32_TEST_POSTGRES_BIN="+slowPrograms(t, folder+"-started"))
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = child.Process.Kill() }) // when the test failed
			c.end(t, child, folder, out)
			await(t, "the end of the cluster", func() bool { return isEmpty(t, folder) && !inUse(t, folder) })
		})
	}
}

func TestClusterIsClosed(t *testing.T) {
	t.Parallel()
	server := startOwn(t)
	conn := connect(t, server.URL())
	want := map[string]string{
		"max_connections": "300", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "password_encryption": "scram-sha-256",
	}
	for name, value := range want {
		if got := ask[string](t, conn, "SELECT current_setting('"+name+"')"); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	if n := ask[int](t, conn, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"); n != 0 {
		t.Errorf("%d rules let someone in without a password", n)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("postgres", "guess")
	if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
		t.Errorf("a wrong password lets in: %v", conn.Close(t.Context()))
	}
	data := ask[string](t, conn, "SHOW data_directory")
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid == 0 {
		t.Error("the cluster is run by root")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(data), "password")); err == nil {
		t.Error("the password lies on the disk")
	}
}

func TestClusterWaitsForTheDisk(t *testing.T) {
	t.Setenv("ART32_TEST_POSTGRES_FSYNC", "on")
	if got := ask[string](t, connect(t, startOwn(t).URL()), "SHOW fsync"); got != "on" {
		t.Errorf("fsync: got %q", got)
	}
}

func TestClusterTakesAnotherPort(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address, _ := taken.Addr().(*net.TCPAddr)
	asked := 0
	server, err := dbtest.StartOn(t.Context(), func(ctx context.Context) (int, error) {
		if asked++; asked == 1 {
			return address.Port, nil
		}
		return dbtest.FreePort(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	ask[int](t, connect(t, server.URL()), "SELECT 1")
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if asked != 2 {
		t.Errorf("asked for %d ports", asked)
	}
}

func startOwn(t *testing.T) *dbtest.Server {
	t.Helper()
	server, err := dbtest.StartOwn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

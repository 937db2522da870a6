package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PoolMode says when PgBouncer takes a connection to the server back.
type PoolMode string

const (
	PoolTransactions PoolMode = "transaction" // with the end of each transaction
	PoolSessions     PoolMode = "session"     // when the client leaves
)

// PoolerOptions adjusts [Pooler]. Nil and zero fields mean the defaults.
type PoolerOptions struct {
	// Server is the address to which the pooler connects. Default: that of the DSNs.
	Server string
	// Size is how many connections to the server each login has. Default: 20.
	Size int
	// Settings are further lines of the section [pgbouncer]. Default: none.
	Settings []string
}

// Pooler starts PgBouncer before the server of the DSNs and returns them with the
// pooler in the server's place. It pools as mode says, asks for the DSNs'
// passwords, and ends with tb or with the process.
func Pooler(tb testing.TB, mode PoolMode, o *PoolerOptions, dsns ...string) []string {
	tb.Helper()
	program, err := bouncer(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if o == nil {
		o = &PoolerOptions{}
	}
	p, err := startPooler(tb.Context(), program, mode, o, dsns)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.stop(); err != nil {
			tb.Errorf("dbtest: stop the pooler: %v", err)
		}
	})
	out := make([]string, len(dsns))
	for i, dsn := range dsns {
		out[i] = At(tb, dsn, p.address)
	}
	return out
}

// At returns a DSN with the address host:port in the place of its server's.
func At(tb testing.TB, dsn, address string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal("dbtest: the DSN is not a URL")
	}
	u.Host = address
	return u.String()
}

// bouncer finds the program, or installs it where a test may.
func bouncer(ctx context.Context) (string, error) {
	path, err := findBouncer()
	if err != nil && mayInstall() {
		if err = installPackage(ctx, "pgbouncer", findBouncer); err == nil {
			path, err = findBouncer()
		}
	}
	if err != nil {
		return "", fmt.Errorf("dbtest: the test needs PgBouncer: %w\ntype:    sudo apt-get install -y pgbouncer", err)
	}
	return path, nil
}

// findBouncer looks where the shell would, and where it would as root.
func findBouncer() (string, error) {
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	return path, err
}

var errDSN = errors.New("dbtest: a pooler needs DSNs of one server and one database, with user and password")

// poolerSettings are the files that the pooler reads: its users and its settings.
func poolerSettings(mode PoolMode, o *PoolerOptions, port int, dsns []string) (users, settings string, err error) {
	var target string
	var lines strings.Builder
	for _, dsn := range dsns {
		c, err := pgx.ParseConfig(dsn)
		if err != nil || strings.ContainsAny(c.User+c.Password+c.Database, "\"'\n ") {
			return "", "", errDSN
		}
		one := fmt.Sprintf("host=%s port=%d dbname=%s", c.Host, c.Port, c.Database)
		if target != "" && one != target {
			return "", "", errDSN
		}
		target = one
		fmt.Fprintf(&lines, "\"%s\" \"%s\"\n", c.User, c.Password)
	}
	if o.Server != "" {
		u, err := url.Parse("postgres://" + o.Server)
		_, name, ok := strings.Cut(target, "dbname=")
		if err != nil || !ok {
			return "", "", errDSN
		}
		target = fmt.Sprintf("host=%s port=%s dbname=%s", u.Hostname(), u.Port(), name)
	}
	size := o.Size
	if size == 0 {
		size = 20
	}
	_, name, _ := strings.Cut(target, "dbname=")
	return lines.String(), strings.Join(append([]string{
		"[databases]", name + " = " + target,
		"[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", port), "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = users", "pool_mode = " + string(mode),
		"max_client_conn = 1000", fmt.Sprintf("default_pool_size = %d", size), "server_login_retry = 1",
	}, o.Settings...), "\n") + "\n", nil
}

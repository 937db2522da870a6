package dbtest

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Pair starts a server of tb's own and a second that follows it: what the first says
// is committed, the second has written. A test ends the first with [Server.Stop],
// which is like pulling its plug, and makes the second the first with pg_promote. Both
// end with tb or with the process.
func Pair(tb testing.TB) (first, second *Server) {
	tb.Helper()
	processServer(tb) // installs what is missing, where it may
	folder, err := programs()
	if err != nil {
		tb.Fatalf("%v\n%s", err, advice())
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	if first, err = startCluster(ctx, folder); err != nil {
		tb.Fatal(err)
	}
	stopped := false
	stop := first.stop
	first.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		return stop()
	}
	if second, err = startFollower(ctx, folder, first.URL()); err == nil {
		err = follow(ctx, first.URL())
	}
	tb.Cleanup(func() {
		for _, s := range []*Server{second, first} {
			if s != nil {
				if err := s.Stop(); err != nil {
					tb.Error(err)
				}
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return first, second
}

// follow makes commits of the first wait for the second.
func follow(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return errors.New("dbtest: the first of the pair cannot be reached")
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, text := range []string{
		"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()",
		"CREATE TABLE IF NOT EXISTS art32_follows ()", "DROP TABLE art32_follows", // answered when the second has it
	} {
		if _, err := conn.Exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

package lease_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
)

func ExampleRun() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:lease_example?mode=memory&cache=shared")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if _, err := migrate.Up(ctx, conn, migrate.SQLite, lease.Migrations()); err != nil {
		fmt.Println(err)
		return
	}
	m := lease.New(db, migrate.SQLite, "instance-1")
	err = lease.Run(ctx, m, "sweeper", time.Minute, func(ctx context.Context, l *lease.Lease) error {
		_, err := m.Acquire(ctx, "sweeper", time.Minute)
		fmt.Println("token", l.Token(), "others:", err)
		return nil
	})
	fmt.Println(err)
	// Output:
	// token 1 others: lease: held by another
	// <nil>
}

package migrate_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing/fstest"

	"github.com/art32/art32/internal/migrate"
)

func ExampleUp() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
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
	app := migrate.Line{Name: "app", FS: fstest.MapFS{
		"sqlite/0001_customers.sql": {Data: []byte(`CREATE TABLE customers (id TEXT PRIMARY KEY)`)},
	}}
	for range 2 {
		done, err := migrate.Up(ctx, conn, migrate.SQLite, app)
		fmt.Println(len(done), "applied", err)
	}
	// Output:
	// 1 applied <nil>
	// 0 applied <nil>
}

package outbox_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/outbox"
)

func Example() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:outbox_example?mode=memory&cache=shared")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if err := prepare(ctx, db); err != nil {
		fmt.Println(err)
		return
	}
	worker := outbox.Worker{DB: db, Dialect: migrate.SQLite, Parallel: 1}
	n, err := worker.RunDue(ctx, func(_ context.Context, m outbox.Message) error {
		fmt.Printf("%s: %s\n", m.Kind, m.Payload)
		return nil
	})
	fmt.Println(n, err)
	// Output:
	// greeting: hello
	// 1 <nil>
}

// prepare migrates and writes a message in a transaction.
func prepare(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := migrate.Up(ctx, conn, migrate.SQLite, lease.Migrations(), outbox.Migrations()); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	query, args := outbox.Enqueue(migrate.SQLite, outbox.Message{Tenant: uuid.New(), Kind: "greeting", Payload: []byte("hello")})
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	return tx.Commit()
}

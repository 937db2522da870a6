package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/tenancy/postgres"
)

// Passwords that expire come from a hook, and a pooler stands before the server.
func ExampleLogins_Configs() {
	const mode = "?default_query_exec_mode=exec"
	c, err := postgres.Logins{
		Library: "postgres://shop_library@localhost:6432/shop" + mode,
		App:     "postgres://shop_app@localhost:6432/shop" + mode,
	}.Configs()
	if err != nil {
		fmt.Println(err)
		return
	}
	token := func(_ context.Context, to *pgx.ConnConfig) error {
		to.Password = "token of " + to.User // asked for where tokens are made
		return nil
	}
	c.Library.BeforeConnect, c.App.BeforeConnect = token, token
	// db, err := postgres.OpenConfigs(ctx, c, schema, keys, log, nil)

	fmt.Println(c.Library.ConnConfig.User, c.App.ConnConfig.User, c.App.ConnConfig.DefaultQueryExecMode)
	// Output: shop_library shop_app exec
}

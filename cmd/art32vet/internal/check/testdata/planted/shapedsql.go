package planted

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/art32/art32/tenancy"
	"github.com/jmoiron/sqlx"
)

const table = "customers"

var query = "SELECT 1"

var setting = os.Getenv("QUERY")

func conditions(column, value string) []tenancy.Filter {
	by := column + " = $1"
	return []tenancy.Filter{
		tenancy.Where(column+" = $1", value),             // want `SQL is put together while the program runs: make it a constant`
		tenancy.Where(by, value),                         // want `SQL is put together`
		tenancy.Where(fmt.Sprintf("name = '%s'", value)), // want `SQL is put together`
		tenancy.Where(strings.ToLower("NAME = 'x'")),     // want `SQL is put together`
		tenancy.Where(setting),                           // want `SQL is put together`
		tenancy.Where("name = $1", value), tenancy.Where(query + " = 1"),
	}
}

func shaped(ctx context.Context, tx *tenancy.SQLTx, order string, ids []string) error {
	t := tx.SQLX()
	t.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = "+ids[0]) // want `SQL is put together`
	t.Get(new(int), "SELECT 1 ORDER BY "+order)                    // want `SQL is put together`
	t.SelectContext(ctx, nil, fmt.Sprint("SELECT ", order))        // want `SQL is put together`
	t.Tx.QueryContext(ctx, order)                                  // want `SQL is put together`
	for _, id := range ids {
		t.MustExec(id) // want `SQL is put together`
	}
	text := "SELECT 1"
	if order != "" {
		text += " ORDER BY " + order
	}
	t.Queryx(text) // want `SQL is put together`
	pointed := "SELECT 1"
	change(&pointed)
	t.Exec(pointed) // want `SQL is put together`
	many, args, err := sqlx.In("SELECT 1 FROM "+order+" WHERE id IN (?)", ids)
	t.Exec(t.Rebind(many), args...)                   // want `SQL is put together`
	_, err = t.NamedExec(strings.Join(ids, " "), nil) // want `SQL is put together`
	//art32:allow shapedsql the names are those of a list in the code
	t.Exec("SELECT 1 FROM " + order)
	return err
}

func change(s *string) { *s = os.Getenv("QUERY") }

func notShaped(ctx context.Context, tx *tenancy.SQLTx, newest bool, ids []string) error {
	t := tx.SQLX()
	t.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = $1", ids[0])
	t.Exec(query)
	text := "SELECT 1"
	if newest {
		text = "SELECT 2"
	}
	text += " ORDER BY 1"
	t.Queryx(text)
	many, args, err := sqlx.In("SELECT 1 FROM customers WHERE id IN (?)", ids)
	if err != nil {
		return err
	}
	many = t.Rebind(many)
	_, err = t.Exec(many, args...)
	return err
}

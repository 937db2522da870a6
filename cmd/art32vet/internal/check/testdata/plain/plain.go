// Package plain does not use tenancy: its databases hold nobody's rows.
package plain

import "database/sql"

func open(dsn string) (*sql.DB, error) { return sql.Open("pgx", dsn) }

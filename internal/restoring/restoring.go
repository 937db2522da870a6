// Package restoring is the mark of a PostgreSQL database into which a restore is
// under way, or was when it died: it may hold people who were erased since. While
// the mark is there, postgres.Setup, Migrate and Open refuse the database, but
// for the restore itself.
package restoring

import "context"

// Schema is the mark: an empty schema of a superuser's. Its comment is the name
// of the restore's own login.
const Schema = "art32_restoring"

// Query gives the name of the login, or NULL where there is no mark.
const Query = "SELECT coalesce(pg_catalog.obj_description(oid, 'pg_namespace'), '') FROM pg_catalog.pg_namespace WHERE nspname = '" + Schema + "'"

// What and Mend say why such a database is refused. Mend has a place for the
// name of the login.
const (
	What = "a restore into this database has not finished, so that it may hold people who were erased"
	Mend = "if none is under way, drop the database and role %q, and restore again"
)

// Login makes the login that migrations run with: one that may do what the owner
// of the tables may, and nothing beyond. The texts come out of a backup.
type Login func(ctx context.Context, owner string) (dsn string, err error)

type key struct{}

// With marks the calls of the restore itself.
func With(ctx context.Context, login Login) context.Context {
	return context.WithValue(ctx, key{}, login)
}

// From gives the restore's login; false where ctx is not that of a restore.
func From(ctx context.Context) (Login, bool) {
	login, ok := ctx.Value(key{}).(Login)
	return login, ok
}

// Package dbtest gives a test a database of its own on a real PostgreSQL.
//
// [Postgres] returns an empty database, [FromTemplate] a copy of one that was
// prepared once per process. Both are dropped when the test ends. A test that
// asks for a database gets one or fails; it is never skipped.
//
// # The server
//
// The first that is there serves the whole process:
//
//  1. the server named by ART32_TEST_POSTGRES, the URL of a superuser;
//  2. a throw-away cluster made with the PostgreSQL programs of the machine,
//     on a free port of the loopback interface, with a random password, run
//     by a user without privileges when the test runs as root;
//  3. in art32's own tests, the same after installing the package postgresql
//     with apt-get, as root or when the variable CI is "true".
//
// Else the test fails with the command to type. `go run ./internal/dbtest/withpg
// -- CMD` keeps one server for all packages that CMD tests.
//
// The cluster belongs to a shell that waits on a pipe from the process. When
// the process ends, however it ends, the pipe closes, and the shell stops the
// cluster and removes its folder.
//
// # Poolers and followers
//
// [Pooler] starts PgBouncer before a server; it is found, installed, run and ended
// like PostgreSQL itself. [Pair] starts two servers of which one follows the other.
//
// # Settings
//
// ART32_TEST_POSTGRES_FSYNC=on makes the throw-away cluster wait for the disk,
// as a test of crash safety needs; the default is off. ART32_TEST_POSTGRES_BIN
// names the folder of the PostgreSQL programs when they lie elsewhere.
//
// # What a copy does not carry
//
// PostgreSQL copies neither rights on a database nor its settings. A copy from
// [FromTemplate] gets the rights and the owner of the template all the same; a
// template with settings of its own (ALTER DATABASE … SET) is refused. Roles
// belong to the server, not to a database: a test that creates some should
// begin their names with the name of its database and an underscore, for such
// roles are dropped together with it.
package dbtest

// Package postgres is the PostgreSQL engine of package tenancy: many tenants in
// shared tables, kept apart by the database itself.
//
// It carries clause TOM-8.1. [Setup] prepares a database with the owner's login;
// [Open] works with others. Text that the library wrote runs under the
// library login and row-level security. Text that a caller wrote runs under the
// app login and a sealed context: tenant, actor and session under an HMAC that
// the database verifies, so that no SQL can switch them
// (docs/formats/sealed-context.md). [RotateSeal] gives its key a successor. A third
// login reads over tenants for tenancy.DB.Across, and reads nothing without an access
// that was written down and lasts.
//
// Every call of [Setup] gives the logins new passwords: running programs must
// be given the new [Logins]. [Migrate] applies migrations and changes no
// password. Where the log is an audit.Log, [SetupOptions.Lines] must hold
// audit.Line(), else its tables are missing and Open refuses.
//
// [SetupOptions.Environment] stamps a new database, as "staging" or "test", and
// [Open] refuses one that was stamped otherwise. Without a stamp it counts as
// production.
//
// # Tables
//
// A migration creates a table and puts it under protection with one line:
//
//	CREATE TABLE customers (
//		tenant_id  uuid NOT NULL REFERENCES art32.tenants (id),
//		id         uuid NOT NULL,
//		email      bytea,
//		email_bidx bytea,
//		plan       text NOT NULL,
//		visits     int NOT NULL DEFAULT 0,
//		born       timestamptz,
//		PRIMARY KEY (tenant_id, id)
//	);
//	CREATE INDEX customers_email ON customers (tenant_id, email_bidx);
//	SELECT art32.protect('customers');
//
// protect takes the name of the tenant's column as a second argument where it is
// not tenant_id. Columns fit fields as follows:
//
//	tenancy.ID, uuid.UUID              uuid
//	field.Encrypted[T]                 bytea
//	the column of index= or unique=    bytea
//	string                             text, varchar
//	bool                               boolean
//	int16, int32, int64, int           smallint, int, bigint, bigint
//	float64                            double precision
//	time.Time                          timestamptz (microseconds)
//	[]byte                             bytea
//	json.RawMessage                    json, jsonb
//	a pointer to one of these          the same, and NULL
//
// The columns of a key that are no UUIDs are text or varchar, and smallint, int or
// bigint. The primary key, and every unique constraint, should begin with the tenant's
// column: PRIMARY KEY (tenant_id, id). A key of id alone tells one tenant,
// by the insert that fails, that another has a row of this id. The same holds
// for foreign keys: FOREIGN KEY (tenant_id, customer_id) REFERENCES customers.
//
// [Plan] writes the migration for tables that are there already, and [CreateTable]
// for those that are only declared; docs/adopting.md carries an application over.
// art32.unsafe_watch('customers', 'shop') protects a table for these logins and leaves
// it open to that of an older application, which is told by [OnReport] what it would
// not see; art32.unwatch ends it.
//
// art32.protect also puts triggers below the table. They act where callers' text writes
// and nowhere else: three report table, verb and rows to the library, which records
// them (tenancy.Unrecorded), one refuses the commit where the transaction has no event
// at all, as where another program uses the app login. What the library itself writes
// pays for the counting of rows (transition tables), but runs no function.
//
// # Statements
//
// Callers' text (tenancy.DB.InSQL) may begin with SELECT, INSERT, UPDATE,
// DELETE, MERGE, WITH, VALUES or TABLE, also in parentheses;
// SET, RESET, SHOW; SAVEPOINT, RELEASE, ROLLBACK TO; DECLARE, FETCH, MOVE, CLOSE;
// PREPARE, EXECUTE, DEALLOCATE; LISTEN, UNLISTEN, NOTIFY. Everything else is
// tenancy.ErrForbidden before it is sent, and recorded as refused, spelling
// mistakes too: a login may change its own password and settings, for all
// tenants and lastingly, which no privilege takes away. COPY, LOCK, CALL and DO
// are not on the list, nor EXPLAIN, whose estimates come from statistics over
// the rows of all tenants; bulk inserts are INSERT … SELECT FROM unnest(…). [Setup]
// as superuser takes DO from the app login besides; where it could not, this
// list is the wall, and Open does not complain.
//
// A statement has at most 65,535 parameters.
//
// # Poolers
//
// Behind PgBouncer, also in transaction mode and as old as 1.18, every DSN says
//
//	default_query_exec_mode=exec
//
// Then no statement has a name, which on the connection of the next transaction would
// be missing or another's. [Open] and [OpenKeystore] refuse a pooler of which the DSN
// does not tell. No setting of the pooler is needed: what callers' text leaves in a
// session is cleared in the transaction's last flight, before the pooler can give the
// connection to another, so that server_reset_query may stay as it is. Each login
// needs its entry in the pooler's list of users. Parameters of the DSN that a pooler
// does not know, such as search_path, make it refuse the connection. In statement mode
// nothing works.
//
// A context that ends while a statement runs asks the server to cancel it. PgBouncer
// 1.18 and 1.19 can crash over such requests, with all connections of all clients: let
// whatever runs it start it again, or take a later one.
//
// What belongs to a session and not to a transaction, as LISTEN, WITH HOLD or
// pg_advisory_lock, ends with the transaction, with a pooler and without; behind one,
// locks of a session end just before the commit.
//
// # Opening
//
// [Open] takes DSNs. Where they are not enough, for passwords that expire, dialers and
// certificates, [Logins.Configs] gives configurations of pgxpool to adjust, and
// [OpenConfigs] and [OpenKeystoreConfig] take them. A *sql.DB that the program has
// already tells by [ConfigOf] how it connects; its pool is not shared, since the
// library's connections are the library's alone.
//
// A DSN may name several servers with target_session_attrs=read-write: after a
// failover the one that takes writes is found. That all that was answered is there
// then is for the servers: it needs synchronous_standby_names.
//
// # Errors
//
// Where the connection is lost, the server or the pooler ends it, or time runs out,
// the error is tenancy.ErrUnavailable, and nothing was written; it is
// tenancy.ErrUnknownOutcome where a commit was on its way and no answer came. Nothing
// is repeated by itself.
//
// Errors hold no value of a row and none that a statement was written with. For
// mistakes in a statement (SQLSTATE class 42) that leaves the code and the place:
// [42703]: at character 25. Names of tables, columns and constraints are told
// where the server gives them by themselves.
//
// After a change of a table, a statement that was prepared before it can fail
// once with tenancy.ErrUnavailable; the connections are then made anew.
//
// # Guarantees
//
// Isolation costs no round trip: context, statement and event travel as one
// pipeline. [Open] refuses a database in which a login could step over the
// policies, with the complete list of what is wrong and how to mend it. What an
// owner who is no superuser cannot close, sessions that one tenant's text could
// watch and end, large objects that belong to all and messages that fill the disk, is
// refused as well, until a superuser runs the statements that the list holds, or the
// caller accepts it by name: [UnsafeSharedSessions], [UnsafeLargeObjects],
// [UnsafeWriteAheadLog], [UnsafeSharedKeys], [UnsafeWatched], [UnsafeUnprotected]. A
// connection that ran callers' text is reset before its next use.
//
// # Not covered
//
// A superuser of the database, and code that runs inside the process. Triggers
// and functions that the owner's migrations make: called by text of the library,
// they run with the library's rights and can change the setting art32.tenant by
// which its policies choose the rows, and so read and write for every tenant.
// Review them like code of the program; the cases of package tenancytest find
// those that change rows of another tenant. Advisory
// locks and the channels of NOTIFY belong to all tenants. So do the numbers that
// PostgreSQL shows everybody: about how many rows a table has (pg_class.reltuples,
// pg_stat_user_tables), how many were written, the position of the write-ahead log.
// Values are not among them. Those that ANALYZE samples for itself (pg_statistic) can
// outlive a row until its table is analysed anew: an erased person's in clear, of wrapped
// keys none. The server's own log
// quotes values in the errors that it writes down. The seal of a transaction
// expires after 60 seconds by the database's clock; the clocks of application
// and database may differ by at most 30 seconds, else callers' text is refused.
//
// # Compatibility
//
// PostgreSQL 15 and later. The API may change before version 1.
package postgres

// Package probe tries on a database what must never work between tenants, rolls it
// back, and reports what was tried, when, and with which result.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung"). [Run] works on a database that the application has opened, on
// the tables that it declared and, on PostgreSQL, on what else the catalogue holds:
// partitions, views, materialised views, functions, roles. Each [Probe] is one way
// in which tenants have met in somebody's design, and the [Report] tells of each
// where it held. [Report.WriteText] writes it in English and German for people who
// do not read JSON.
//
// In a test, tenancytest.Conform makes two tenants, fills the tables, and fails with
// what did not hold; on a staging environment, art32 doctor --probe does so between
// two tenants that are there.
//
// # Guarantees
//
// Run refuses a database that counts as production ([ErrProduction]): one that was
// stamped so, or not at all, see [tenancy.DB.Environment]. Each attempt runs in a
// transaction that is rolled back, also on success and on a panic. What outlives a
// transaction on a connection comes to be with the commit alone: those probes commit
// transactions that the database itself holds to reading. The report holds names of
// tables, roles and constraints, codes of errors and ids of the two tenants, and no
// value of a row.
//
// # Not covered
//
// What was tried is not all that there is. A function of the application is not
// called, since it could do what no rollback takes back; those that run with the
// rights of their owner are found in the catalogue. The same holds for triggers that
// reach outside the database or take numbers of a sequence. What a trigger copies
// into a table of nobody's is not seen. Channels of NOTIFY and advisory locks belong
// to all tenants of a PostgreSQL database, which the report says. Row locks that
// others hold are waited for three seconds.
//
// # Compatibility
//
// The API may change before version 1. Later versions may have more probes. The JSON
// of a report is version 1 and keeps its fields.
package probe

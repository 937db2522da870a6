// Package tenancytest gives the tests of an application a ready database in one
// line, and checks that its tables keep what the library promises.
//
// It gives clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung") and TOM-5.1 their evidence on the application's own tables:
// [Cases] with [Run], which try the library's verbs, and the probes of package
// tenancy/probe with [Conform], which try the database below and keep a report for
// auditors.
//
//	func TestTenants(t *testing.T) {
//		o := &tenancytest.Options{Migrations: app.Migrations}
//		tenancytest.Each(t, app.Schema, o, tenancytest.Run) // on both engines
//	}
//
//	func TestSeparation(t *testing.T) {
//		tenancytest.Each(t, app.Schema, o, func(t *testing.T, w *tenancytest.World) {
//			tenancytest.Conform(t, w.DB, &tenancytest.ConformOptions{Schema: app.Schema})
//		})
//	}
//
//	func TestRename(t *testing.T) {
//		w := tenancytest.New(t, app.Schema, &tenancytest.Options{Migrations: app.Migrations})
//		ctx := w.In(t, w.A) // tenant A; somebody acts
//		err := app.Rename(ctx, w.DB, "…")
//	}
//
// A [World] has real keys under a throw-away root, a real log, and two tenants.
// Its database is stamped as "test".
// [World.Reopen] is a second instance of the program, [World.Raw] the
// administrator of the database, [World.Verify] the auditor. What handlers write
// into the log is for package audit/audittest to watch.
//
// # PostgreSQL
//
// The first server that is there is taken: the one that ART32_TEST_POSTGRES
// names, as the URL of a superuser; a throw-away one made with the installed
// programs of PostgreSQL. Else the test fails with the command to type: it
// installs nothing and is never skipped.
//
// # Guarantees
//
// Each World has databases of its own, which are closed and removed when the
// test ends. On SQLite it works in a bubble of [testing/synctest]. A case of
// [Cases] that passes has looked at rows of each table.
//
// # Not covered
//
// Tables that the schema does not list. The cases know the columns that are
// declared; what triggers and views of the application do beyond is seen only
// where it changes rows of another tenant, or refuses a row because another
// tenant has its equal. What a trigger reads from another tenant, or copies into
// a table of nobody's, is not seen. With Options.Fill a refusal by a constraint
// that is not unique is not judged, since the order of the rows is not known.
//
// # Compatibility
//
// The API may change before version 1. Later versions may check more.
package tenancytest

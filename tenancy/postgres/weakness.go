package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
)

// Weakness names something for which [Open] refuses a database, and which a
// caller may accept by [Options.Unsafe] where nobody is superuser of the server,
// as with many hosted ones.
type Weakness string

const (
	// UnsafeSharedSessions accepts that the app login may look at and end the
	// sessions of its own name. It gives up that tenants cannot see each other's
	// SQL and cannot stop each other's work: callers' text of one tenant can read
	// the text of the statements that another's runs at that moment, with the
	// values that were written into it and not bound as parameters, and can end
	// it. Rows stay out of reach.
	UnsafeSharedSessions Weakness = "shared-sessions"
	// UnsafeLargeObjects accepts that the app login may make large objects. They
	// belong to the login and to no tenant: callers' text of one tenant can read,
	// change and remove what another's put there, and fill the disk. It gives up
	// nothing where no statement of the program's uses them and its SQL cannot be
	// injected.
	UnsafeLargeObjects Weakness = "large-objects"
)

// weaknesses lists for each what the app login must not be able to execute.
var weaknesses = []struct {
	name      Weakness
	functions []string
	what      string
}{
	{
		UnsafeSharedSessions,
		[]string{"pg_terminate_backend", "pg_cancel_backend", "pg_stat_get_activity", "pg_stat_get_backend_activity"},
		"with which one tenant's text sees or ends the work of another's",
	},
	{
		UnsafeLargeObjects,
		[]string{"lo_creat", "lo_create", "lo_from_bytea"},
		"and large objects belong to all tenants",
	},
}

// weak finds what the app login may execute and should not. The mend is the
// statement to the letter.
func weak(ctx context.Context, app *sql.DB) (out []Finding, err error) {
	for _, w := range weaknesses {
		found, err := findings(ctx, app, "", `SELECT 'role ' || current_user || ' may execute ' || p.oid::regprocedure || ', ' || $2::text,
			format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC, art32_app, %I; -- in this database, as superuser', p.oid::regprocedure, current_user)
			FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ($1::text[])
			AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY p.proname`, w.functions, w.what)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].Weakness = w.name
		}
		out = append(out, found...)
	}
	return out, nil
}

// known refuses names that are not those of a weakness.
func known(accepted []Weakness) error {
	for _, a := range accepted {
		if a != UnsafeSharedSessions && a != UnsafeLargeObjects {
			return fmt.Errorf("postgres: open: no weakness is called %q", string(a))
		}
	}
	return nil
}

// accept takes out the findings that the caller accepts, and says so once.
func accept(ctx context.Context, o *Options, found []Finding) []Finding {
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	for _, w := range weaknesses {
		is := func(f Finding) bool { return f.Weakness == w.name }
		if slices.Contains(o.Unsafe, w.name) && slices.ContainsFunc(found, is) {
			found = slices.DeleteFunc(found, is)
			logger.WarnContext(ctx, "postgres: a weakness of the database is accepted", slog.String("weakness", string(w.name)))
		}
	}
	return found
}

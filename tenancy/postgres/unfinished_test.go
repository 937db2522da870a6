package postgres_test

import (
	"strings"
	"testing"

	"github.com/art32/art32/tenancy/postgres"
)

// A database into which a restore has not finished may hold people who were
// erased: neither Setup nor Migrate makes it usable.
func TestUnfinishedRestore(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	db := w.admin(t)
	db.MustExec("CREATE SCHEMA art32_restoring; COMMENT ON SCHEMA art32_restoring IS 'the_login'")
	_, err := postgres.Setup(t.Context(), w.owner, nil)
	for what, err := range map[string]error{"set up": err, "migrated": postgres.Migrate(t.Context(), w.owner, nil)} {
		if err == nil || !strings.Contains(err.Error(), `drop the database and role "the_login"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	db.MustExec("DROP SCHEMA art32_restoring")
	if err := postgres.Migrate(t.Context(), w.owner, nil); err != nil {
		t.Error(err)
	}
}

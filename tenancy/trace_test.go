package tenancy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func TestCheckTrace(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	counted(t, func(t *testing.T, w *tenancytest.World, _ []uuid.UUID) {
		person, job := tenancy.Person(uuid.New()).String(), tenancy.MustService("job/one").String()
		at := time.Now()
		for name, q := range map[string]tenancy.TraceQuery{
			"nothing": {},
			"all": {
				From: at, Until: at.Add(1), Actors: []string{person, job}, Sessions: []string{"x"},
				Tables: []string{"letters", "rates"}, Verbs: []string{"insert", "update", "delete", "read"},
			},
		} {
			if err := w.DB.CheckTrace(q); err != nil || q.IsZero() != (name == "nothing") {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, q := range map[string]tenancy.TraceQuery{
			"table":             {Tables: []string{"letters", "canary"}},
			"table in capitals": {Tables: []string{"Letters"}},
			"verb":              {Verbs: []string{"canary"}},
			"bare name":         {Actors: []string{"canary"}},
			"bare id":           {Actors: []string{strings.TrimPrefix(person, "person:")}},
			"id in capitals":    {Actors: []string{"person:" + strings.ToUpper(strings.TrimPrefix(person, "person:"))}},
			"service's name":    {Actors: []string{"service:Canary"}},
			"nobody":            {Actors: []string{""}},
			"session":           {Sessions: []string{""}},
			"empty span":        {From: at, Until: at},
			"backwards":         {From: at, Until: at.Add(-1)},
		} {
			if err := w.DB.CheckTrace(q); err == nil || strings.Contains(err.Error(), "canary") || q.IsZero() {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A name that a terminal would obey is none.
func TestNamesAreShown(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	w := tenancytest.New(t, censusSchema, &tenancytest.Options{Engine: tenancytest.SQLite, Migrations: censusMigrations()})
	for _, name := range []string{"x\x1b]0;owned\x07", "x\x1b[2J", "x\u009b31m", "a\nb", "a\u202eb", "a\u2028b", "\x00"} {
		if _, err := w.DB.CreateTenant(w.In(t, tenancy.ID{}), tenancy.Tenant{Name: name}); err == nil || strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

package incident_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/art32/art32/tenancy"
)

// postdate moves what the intruder did in a tenant's log by a duration, as a clock
// that was ahead would have dated it.
func (w *world) postdate(tb testing.TB, id tenancy.ID, by time.Duration) {
	tb.Helper()
	_, err := w.rawFile(tb, "tenants", id.String()+".db").ExecContext(tb.Context(), "UPDATE "+w.table("events")+
		" SET at = at + "+strconv.FormatInt(by.Microseconds(), 10)+" WHERE tenant_id = '"+id.String()+"' AND actor = '"+intruder.String()+"'")
	must(tb, err)
}

// Changes that were there when the case was opened are in its scope, or said to
// lie behind it, whatever the clock that dated them; what is done later is neither.
func TestClockAheadClearsNobody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		by       time.Duration
		shut     bool // when the case is opened
		affected int
	}{
		"within the tolerance": {by: time.Minute, affected: 3},
		"far ahead":            {by: time.Hour},
		"and not to be read":   {by: time.Hour, shut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				w.tamper(t, w.a, w.people(t, w.a, 3)...)
				others := w.people(t, w.b, 1)
				w.seal(t)
				w.postdate(t, w.a, tt.by)
				if tt.shut {
					w.shut(t, w.a, true)
				}
				c, err := w.desk.Open(w.as(t.Context()), report())
				must(t, err)
				if tt.shut {
					w.shut(t, w.a, false)
				}
				w.tamper(t, w.b, others...)
				w.postdate(t, w.b, 10*time.Minute) // which have passed
				for range 2 {
					all, err := w.desk.Affected(t.Context(), c.ID)
					if tt.affected > 0 {
						must(t, err)
					} else {
						wantDamaged(t, err, w.a)
					}
					if len(all) != min(tt.affected, 1) || len(all) == 1 && (all[0].Tenant != w.a || all[0].Events != tt.affected || all[0].Damaged) {
						t.Errorf("affected %+v", all)
					}
				}
			})
		})
	}
}

// An end that the report gives is its own.
func TestGivenEndStays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.tamper(t, w.a, w.people(t, w.a, 1)...)
		w.postdate(t, w.a, time.Hour)
		r := report()
		r.Scope.Until = time.Now().Add(time.Second).Truncate(time.Microsecond)
		c, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		if !c.Report.Scope.Until.Equal(r.Scope.Until) || len(c.Ahead) != 0 {
			t.Errorf("opened %+v", c)
		}
		all, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		if len(all) != 0 {
			t.Errorf("affected %+v", all)
		}
	})
}

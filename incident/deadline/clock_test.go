package deadline_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // the tests know their zones

	"github.com/art32/art32/incident/deadline"
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return loc
}

func TestOf(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	const layout = "2006-01-02 15:04:05.999 MST"
	tests := []struct {
		name, zone, aware, operational, statutory string
		hours                                     int
	}{
		{"worked example, ends on a holiday", "Europe/Berlin", "2020-12-22 12:17:00 CET", "2020-12-25 12:17:00 CET", "2020-12-25 13:00:00 CET", 72},
		{"last second of an hour", "Europe/Berlin", "2020-12-22 12:59:59 CET", "2020-12-25 12:59:59 CET", "2020-12-25 13:00:00 CET", 72},
		{"first second of an hour", "Europe/Berlin", "2020-12-22 12:00:00 CET", "2020-12-25 12:00:00 CET", "2020-12-25 13:00:00 CET", 72},
		{"ends on Whit Monday", "Europe/Berlin", "2026-05-22 16:30:00 CEST", "2026-05-25 16:30:00 CEST", "2026-05-25 17:00:00 CEST", 72},
		{"to summer time", "Europe/Berlin", "2026-03-27 10:30:00 CET", "2026-03-30 10:30:00 CEST", "2026-03-30 12:00:00 CEST", 72},
		{"from summer time", "Europe/Berlin", "2026-10-23 10:30:00 CEST", "2026-10-26 09:30:00 CET", "2026-10-26 10:00:00 CET", 72},
		{"in the hour that comes twice, first", "Europe/Berlin", "2026-10-25 02:30:00 CEST", "2026-10-28 01:30:00 CET", "2026-10-28 02:00:00 CET", 72},
		{"in the hour that comes twice, second", "Europe/Berlin", "2026-10-25 02:30:00 CET", "2026-10-28 02:30:00 CET", "2026-10-28 03:00:00 CET", 72},
		{"a zone of half hours", "Asia/Kolkata", "2026-01-01 10:15:00 IST", "2026-01-04 10:15:00 IST", "2026-01-04 11:00:00 IST", 72},
		{"a day", "Europe/Berlin", "2026-01-01 10:15:00 CET", "2026-01-02 10:15:00 CET", "2026-01-02 11:00:00 CET", 24},
		{"no whole days", "Europe/Berlin", "2026-01-01 10:15:00 CET", "2026-01-02 16:15:00 CET", "2026-01-02 17:00:00 CET", 30},
		{"the last millisecond", "Europe/Berlin", "2026-01-01 10:59:59.999 CET", "2026-01-04 10:59:59.999 CET", "2026-01-04 11:00:00 CET", 72},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, tt.zone)
			aware, err := time.ParseInLocation(layout, tt.aware, loc)
			if err != nil {
				t.Fatal(err)
			}
			got := deadline.Of(aware.UTC(), deadline.Rule{Hours: tt.hours}, loc)
			if s := got.Operational.Format(layout); s != tt.operational {
				t.Errorf("operational %s, want %s", s, tt.operational)
			}
			if s := got.Statutory.Format(layout); s != tt.statutory {
				t.Errorf("statutory %s, want %s", s, tt.statutory)
			}
		})
	}
}

// At any moment of twenty years: the alarm comes within the period and not more
// than the change of a clock before its end, and the statutory end is a full
// hour, 72 to 73 hours later.
func TestOfAlways(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	rule := deadline.Authority()[0]
	for _, name := range []string{"Europe/Berlin", "Atlantic/Azores", "Asia/Kolkata", "UTC"} {
		loc := zone(t, name)
		for range 20000 {
			aware := time.Unix(1600000000, 0).Add(time.Duration(rand.Int64N(int64(20 * 365 * 24 * time.Hour))))
			c := deadline.Of(aware, rule, loc)
			if d := c.Operational.Sub(aware); d > 72*time.Hour || d < 71*time.Hour {
				t.Fatalf("%s: alarm after %v for %v", name, d, aware.In(loc))
			}
			if d := c.Statutory.Sub(aware); d <= 72*time.Hour || d > 73*time.Hour || c.Statutory.Minute() != 0 {
				t.Fatalf("%s: end after %v for %v", name, d, aware.In(loc))
			}
		}
	}
}

func TestInForce(t *testing.T) {
	t.Parallel()
	change := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	rules := []deadline.Rule{{Norm: "old", Hours: 72, From: change.AddDate(-1, 0, 0), Until: change}, {Norm: "new", Hours: 96, From: change}}
	for aware, want := range map[time.Time]string{
		change.AddDate(-2, 0, 0): "", change.AddDate(-1, 0, 0): "old", change.Add(-1): "old", change: "new", change.AddDate(9, 0, 0): "new",
	} {
		if r, ok := deadline.InForce(rules, aware); r.Norm != want || ok != (want != "") {
			t.Errorf("%v: %v, %v", aware, r, ok)
		}
	}
	start := time.Date(2018, 5, 25, 0, 0, 0, 0, zone(t, "Europe/Berlin"))
	if _, ok := deadline.InForce(deadline.Authority(), start.Add(-1)); ok {
		t.Error("in force before it was")
	}
	if r, ok := deadline.InForce(deadline.Authority(), start); !ok || r.Hours != 72 {
		t.Error("not in force")
	}
	if d := deadline.Default(); d.FirstNotice != 4*time.Hour || d.Escalation != 24*time.Hour {
		t.Errorf("targets %v", d)
	}
}

func TestNilZoneIsUTC(t *testing.T) {
	t.Parallel()
	c := deadline.Of(time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC), deadline.Rule{Hours: 72}, nil)
	if c.Statutory.Location() != time.UTC || c.Statutory.Hour() != 11 {
		t.Errorf("got %v", c)
	}
}

func ExampleOf() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	aware := time.Date(2026, 5, 22, 16, 30, 0, 0, berlin)
	rule, _ := deadline.InForce(deadline.Authority(), aware)
	clock := deadline.Of(aware, rule, berlin)
	fmt.Println(rule.Norm, "alarm:", clock.Operational.Format(time.DateTime), "end:", clock.Statutory.Format(time.DateTime))
	// Output: Art. 33(1) GDPR alarm: 2026-05-25 16:30:00 end: 2026-05-25 17:00:00
}

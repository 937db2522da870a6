package deadline

import "time"

// Clock is the end of a period, in two readings.
type Clock struct {
	// Operational is what alarms hang on: the earlier of the hours as they pass
	// and the same time of day that many days later.
	Operational time.Time
	// Statutory is the end by Regulation (EEC, Euratom) No 1182/71: the hour in
	// which the event falls does not count (Art. 3(1)), and the period ends with
	// its last hour (Art. 3(2)(a)). It is of real hours, also across a change to or from summer
	// time; Saturdays, Sundays and holidays count (Art. 3(3)), and it is not
	// moved to a working day, which is for periods not expressed in hours
	// (Art. 3(4)).
	Statutory time.Time
}

// Of computes the ends of rule's period for who became aware at aware, in the
// time zone loc, that of the controller. A nil loc is UTC.
func Of(aware time.Time, rule Rule, loc *time.Location) Clock {
	if loc == nil {
		loc = time.UTC
	}
	aware = aware.In(loc)
	return Clock{Operational: operational(aware, rule.Hours), Statutory: nextHour(aware).Add(hours(rule.Hours))}
}

func operational(aware time.Time, n int) time.Time {
	elapsed := aware.Add(hours(n))
	hour, minute, second := aware.Clock()
	year, month, day := aware.Date()
	wall := time.Date(year, month, day+n/24, hour+n%24, minute, second, aware.Nanosecond(), aware.Location())
	if wall.Before(elapsed) {
		return wall
	}
	return elapsed
}

// nextHour is the full hour after t on the clock of t's zone; a t that is a full
// hour lies in the hour that it begins.
func nextHour(t time.Time) time.Time {
	_, minute, second := t.Clock()
	into := time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(t.Nanosecond())
	return t.Add(time.Hour - into)
}

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }

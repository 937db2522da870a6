package deadline

import "time"

// Rule is a period of hours that a norm sets, and when that norm holds.
type Rule struct {
	Norm  string    // as people cite it
	Hours int       // length of the period
	From  time.Time // it holds for who becomes aware from here on; zero: always
	Until time.Time // and before this; zero: without end
}

// Authority is the controller's period for telling the supervisory authority:
// Art. 33(1) GDPR, "where feasible, not later than 72 hours after having become
// aware of it". A proposal of the Commission of 19 November 2025 (96 hours) is
// not law and not here.
func Authority() []Rule {
	return []Rule{{Norm: "Art. 33(1) GDPR", Hours: 72, From: time.Date(2018, 5, 24, 22, 0, 0, 0, time.UTC)}}
}

// InForce is the first of rules that holds for who becomes aware at aware; false
// if none does.
func InForce(rules []Rule, aware time.Time) (Rule, bool) {
	for _, r := range rules {
		if !aware.Before(r.From) && (r.Until.IsZero() || aware.Before(r.Until)) {
			return r, true
		}
	}
	return Rule{}, false
}

// Targets are what a processor's contract aims at, in time elapsed since the
// processor became aware. They are no permitted period: Art. 33(2) GDPR says
// "without undue delay" and knows no hours.
type Targets struct {
	FirstNotice time.Duration // until the first notice to the controller
	Escalation  time.Duration // until somebody asks who has not answered; not before FirstNotice
}

// Default are the targets for a contract that says "sofort": 4 and 24 hours.
func Default() Targets { return Targets{FirstNotice: 4 * time.Hour, Escalation: 24 * time.Hour} }

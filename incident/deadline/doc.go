// Package deadline computes the clocks of a personal data breach: until when the
// controller must have told the supervisory authority, and until when the
// contract wants its first notice (TOM-9.2).
//
// [Of] gives the two ends of a period of hours, of which alarms use the earlier:
//
//	rule, ok := deadline.InForce(deadline.Authority(), aware)
//	clock := deadline.Of(aware, rule, berlin)
//
// # Guarantees
//
// [Clock].Operational is never later than [Clock].Statutory, and neither reading
// of "72 hours" that it combines lies before it. Rules are dated data: a period
// that the legislator changes is a second [Rule], and what happened under the
// first keeps it.
//
// # Not covered
//
// What "aware" means, and whether a breach must be notified at all: people decide
// that. The reading of Art. 3(5) of Regulation 1182/71 by which a period contains
// two working days is disputed for hours and left out, since it only lengthens.
// Periods of months. Nothing here is legal advice.
//
// # Compatibility
//
// The API may change before version 1.
package deadline

package field

import (
	"errors"
	"fmt"
	"time"
)

// ErrDate says that a text or a [Date] is no day of the calendar.
var ErrDate = errors.New("field: not a date of the form 2006-01-02 between the years 1 and 9999")

// Date is a day of the Gregorian calendar without time and zone, such as a date
// of birth: kept as a time it would move by a day with the zone that looks at it.
// Encrypted it is always ten bytes, in JSON and a blind index its text. The zero
// Date is no day and is not stored; a day that is not known is NULL.
type Date struct {
	Year  int        // 1 to 9999
	Month time.Month // 1 to 12
	Day   int        // 1 to 31
}

// DateOf is the day of t in the zone of t.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{Year: year, Month: month, Day: day}
}

// ParseDate reads a text such as "1985-03-01", or returns [ErrDate], which does
// not quote it.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if d := DateOf(t); err == nil && d.Valid() {
		return d, nil
	}
	return Date{}, ErrDate
}

// Valid reports whether the calendar has the day.
func (d Date) Valid() bool {
	return d.Year >= 1 && d.Year <= 9999 && d == DateOf(d.In(time.UTC))
}

// In is the moment at which the day begins in loc; where its clocks skip
// midnight, the nearest that time.Date gives.
func (d Date) In(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// String is the text that [ParseDate] reads.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// MarshalText implements [encoding.TextMarshaler]: the text of [Date.String], or
// [ErrDate].
func (d Date) MarshalText() ([]byte, error) {
	if !d.Valid() {
		return nil, ErrDate
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] as [ParseDate] does.
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

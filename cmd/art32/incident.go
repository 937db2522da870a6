package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

const needsKeys = "the library login (--dsn), the app login (--app-dsn) and the root key, or write access to the directory (--data)"

// breach is what the verbs about incidents have in common.
type breach struct {
	keyed

	zone   string
	loc    *time.Location
	reason string
}

func (b *breach) flags(fs *flag.FlagSet) {
	b.keyed.flags(fs)
	fs.StringVar(&b.zone, "zone", "Europe/Berlin", "the time `ZONE` of the controllers, in which clocks are shown; default: Europe/Berlin")
}

func (b *breach) reasonFlag(fs *flag.FlagSet) {
	fs.StringVar(&b.reason, "reason", "", "why, as a `TEXT` for the platform's log, where it is encrypted; required")
}

func (b *breach) resolve() (err error) {
	if b.loc, err = time.LoadLocation(b.zone); err != nil {
		return usagef("--zone is no time zone, such as Europe/Berlin")
	}
	return b.keyed.resolve()
}

// nobody stands for the vendor where no notice is written.
var nobody = incident.Vendor{Name: "-", Contact: "-", Mail: "nobody@localhost"}

// desk opens the database and its cases.
func (b *breach) desk(ctx context.Context, v incident.Vendor, notifiers map[string]incident.Notifier, ackURL string) (*incident.Desk, *opened, error) {
	o, err := b.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	d, err := incident.New(o.db, o.keys, o.log, o.recorder, v, &incident.Options{Location: b.loc, Notifiers: notifiers, AckURL: ackURL})
	if err != nil {
		return nil, nil, errors.Join(err, o.close())
	}
	return d, o, nil
}

// acting is ctx for what this program does for a reason.
func acting(ctx context.Context, reason string) context.Context {
	return tenancy.WithReason(tenancy.WithActor(ctx, self), reason)
}

// moment reads a time: RFC 3339, or that of a clock in the zone. Of the two
// moments at which a clock shows the same time in autumn it is the earlier, by
// which every alarm comes first and a span is the longer; for the end of a span
// the later.
func (b *breach) moment(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		t, err := time.ParseInLocation(layout, text, b.loc)
		if err != nil {
			continue
		}
		if t.Format(layout) != text {
			return t, usagef("--%s does not exist in %s: the clock was set forward", name, b.zone)
		}
		return twin(t, layout, name == "until"), nil
	}
	return time.Time{}, usagef(`--%s is no time: write 2026-11-23T09:15:00+01:00, or "2026-11-23 09:15"`, name)
}

// twin is the earlier or the later of the moments at which a clock shows the same.
// Zones are set back by half an hour, one or two.
func twin(t time.Time, layout string, later bool) time.Time {
	out := t
	for _, by := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
		for _, other := range []time.Time{t.Add(-by), t.Add(by)} {
			if other.Format(layout) == t.Format(layout) && other.After(out) == later {
				out = other
			}
		}
	}
	return out
}

// clock shows a time in the zone.
func (b *breach) clock(t time.Time) string { return t.In(b.loc).Format("Mon 2006-01-02 15:04 MST") }

// textOf reads a text that may stand in a file: @FILE.
func textOf(name, value string) (string, error) {
	file, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("--%s: %v", name, err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), nil
}

// parseCase reads the value of --case.
func parseCase(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(uuid.Nil.String()) {
		return id, usagef("--case is no id of 36 characters; art32 incident status lists the cases")
	}
	return id, nil
}

// kinds reads the value of --kind.
func kinds(text string) (k incident.Kind, err error) {
	words := map[string]incident.Kind{}
	for _, one := range []incident.Kind{incident.Confidentiality, incident.Integrity, incident.Availability} {
		words[one.Words()[0]] = one
	}
	for word := range strings.SplitSeq(text, ",") {
		one, ok := words[strings.TrimSpace(word)]
		if !ok {
			return 0, usagef("--kind is one or more of confidentiality, integrity, availability, joined with commas")
		}
		k |= one
	}
	return k, nil
}

// span says a range of numbers. It is a range also where both bounds agree: what
// was written past the log is in neither.
func span(r incident.Range, many string) string {
	return fmt.Sprintf("%d to %d %s", r.AtLeast, r.AtMost, many)
}

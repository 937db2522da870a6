package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/foldernotifier"
	"github.com/art32/art32/tenancy"
)

// incident tells one controller, and not the other.
func (s *story) incident(ctx context.Context) error {
	s.title("An account of Nordlicht was taken over: Nordlicht gets a notice, Südwind none.")
	ctx = tenancy.WithReason(ctx, "call of Nordlicht's administrator")
	folder := away(s.dir, "notices-"+time.Now().UTC().Format("20060102T150405.000"))
	desk, err := s.desk(folder)
	if err != nil {
		return err
	}
	for _, t := range []tenancy.Tenant{s.north, s.south} {
		at := tenancy.WithTenant(ctx, t.ID)
		if err := desk.SetContact(at, incident.Contact{Name: "Datenschutz", Mail: "datenschutz@example.org"}); err != nil {
			return err
		}
	}
	c, err := desk.Open(ctx, incident.Report{
		Aware: time.Now(), Kind: incident.Confidentiality | incident.Integrity, Title: "Account taken over",
		Nature: "Somebody else used an account and changed customers.",
		Scope:  tenancy.TraceQuery{From: s.began, Actors: []string{tenancy.Person(clerk).String()}, Tables: []string{"customers"}},
	})
	if err != nil {
		return err
	}
	if err := s.counted(ctx, desk, c); err != nil {
		return err
	}
	notices, err := desk.Notify(ctx, c.ID)
	if err != nil {
		return err
	}
	sent, err := desk.Deliver(ctx)
	if err != nil {
		return err
	}
	if len(notices) != 1 || sent != 1 || notices[0].Tenant != s.north.ID {
		return fmt.Errorf("%d notices written, %d delivered, not one for Nordlicht", len(notices), sent)
	}
	return s.delivered(ctx, desk, folder, notices[0])
}

func (s *story) desk(folder string) (*incident.Desk, error) {
	out, err := foldernotifier.New(folder)
	if err != nil {
		return nil, err
	}
	vendor := incident.Vendor{Name: "Musterbetrieb GmbH", Contact: "Erika Muster", Mail: "vorfall@example.org"}
	return incident.New(s.db, s.keys, s.log, s.recorder, vendor, &incident.Options{
		Notifiers: map[string]incident.Notifier{"folder": out}, // in earnest smtpnotifier too
	})
}

// counted shows whom the case touches.
func (s *story) counted(ctx context.Context, desk *incident.Desk, c incident.Case) error {
	affected, err := desk.Affected(ctx, c.ID)
	if err != nil {
		return err
	}
	if len(affected) != 1 || affected[0].Tenant != s.north.ID {
		return fmt.Errorf("%d tenants found to be affected, not Nordlicht alone", len(affected))
	}
	a := affected[0]
	total, err := Customers.Count(s.atNorth(ctx), s.db)
	if err != nil {
		return err
	}
	if a.Records.AtLeast != 1 || a.Records.AtMost != total {
		return fmt.Errorf("records counted from %d to %d, not from 1 to %d", a.Records.AtLeast, a.Records.AtMost, total)
	}
	s.shownf("affected by the log: %s; records changed: %d, in reach: %d", a.Name, a.Records.AtLeast, a.Records.AtMost)
	return nil
}

// delivered shows the notice and its clocks.
func (s *story) delivered(ctx context.Context, desk *incident.Desk, folder string, n incident.Notice) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("%d notices lie in the folder: %w", len(files), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), s.north.Name) || strings.Contains(string(text), s.south.Name) {
		return errors.New("the notice does not name its controller alone")
	}
	s.shownf("one notice, %s, in German and English; it names Südwind nowhere", filepath.Base(files[0]))
	all, err := desk.Status(ctx)
	if err != nil {
		return err
	}
	for _, st := range all {
		if st.Case.ID == n.Case {
			s.shownf("aware        %s", st.Case.Report.Aware.Format(time.RFC3339))
			s.shownf("first notice by %s (our contract)", st.FirstNotice.Format(time.RFC3339))
			s.shownf("72 hours     %s, at the latest %s (Art. 33(1), Regulation 1182/71)",
				st.Clock.Operational.Format(time.RFC3339), st.Clock.Statutory.Format(time.RFC3339))
			return nil
		}
	}
	return errors.New("the case is in no status")
}

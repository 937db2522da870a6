package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// story tells what the library promises, and shows the evidence for each step.
// A step whose evidence fails ends the program.
type story struct {
	*app

	out   io.Writer
	csv   fs.FS
	dir   string
	owner string // DSN; empty for SQLite
	kept  bool   // the folder outlives the program
	step  int

	north, south tenancy.Tenant
	doerte       uuid.UUID
	planted      [][]byte
	began        time.Time
	target       *dirtarget.Target
	run          string // name of the backup
	signer       string // public key of the backups
}

// The person of whom the story tells.
const (
	doerteMail = "doerte.groesslinghoff@example.org"
	doerteName = "Dörte Größlinghoff-Süßkind"
)

func (s *story) tell(ctx context.Context) error {
	s.began = time.Now()
	ctx = tenancy.WithActor(ctx, tenancy.MustService("quickstart"))
	for _, act := range []func(context.Context) error{
		s.importTenants, s.separation, s.onDisk, s.change, s.verify, s.tamper, s.login,
		s.backup, s.erase, s.record, s.restore, s.incident,
	} {
		if err := act(ctx); err != nil {
			return fmt.Errorf("step %d: %w", s.step, err)
		}
	}
	s.printf("\nAll steps held, in %.1f s.", time.Since(s.began).Seconds())
	if s.kept {
		s.printf("Files: %s", s.dir)
	}
	return nil
}

func (s *story) printf(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *story) title(text string) {
	s.step++
	s.printf("\n%d. %s", s.step, text)
}

// shownf prints a piece of evidence.
func (s *story) shownf(format string, args ...any) { s.printf("   ✓ "+format, args...) }

// importTenants makes two tenants and imports their customers.
func (s *story) importTenants(ctx context.Context) error {
	s.title("Two customers of the vendor, each with customers of its own, are imported.")
	var err error
	if s.north, err = s.tenant(ctx, "Nordlicht GmbH", "nordlicht.csv"); err != nil {
		return err
	}
	if s.south, err = s.tenant(ctx, "Südwind AG", "suedwind.csv"); err != nil {
		return err
	}
	for c, err := range Customers.List(s.atNorth(ctx), s.db, CustomerEmail.Eq(doerteMail)) {
		if err != nil {
			return err
		}
		s.doerte = c.ID
	}
	if s.doerte == uuid.Nil {
		return errors.New("the person of the story is not among the customers of nordlicht.csv")
	}
	s.shownf("one of them is found by the blind index of her e-mail address")
	return nil
}

// atNorth and atSouth act for one of the tenants, as a session would.
func (s *story) atNorth(ctx context.Context) context.Context {
	return tenancy.WithTenant(ctx, s.north.ID)
}

func (s *story) atSouth(ctx context.Context) context.Context {
	return tenancy.WithTenant(ctx, s.south.ID)
}

func (s *story) tenant(ctx context.Context, name, file string) (tenancy.Tenant, error) {
	t, err := s.db.CreateTenant(ctx, tenancy.Tenant{Name: name})
	if err != nil {
		return t, err
	}
	ctx = tenancy.WithTenant(tenancy.WithReason(ctx, "first import"), t.ID)
	began := time.Now()
	n, err := s.importFile(ctx, s.csv, file)
	if err != nil {
		return t, err
	}
	counted, err := Customers.Count(ctx, s.db)
	if err == nil && counted != n {
		err = fmt.Errorf("%d rows imported, %d there", n, counted)
	}
	s.shownf("%s: %d rows in one transaction, %.1f s", name, n, time.Since(began).Seconds())
	return t, err
}

// separation shows that Südwind cannot reach a row of Nordlicht.
func (s *story) separation(ctx context.Context) error {
	s.title("Südwind cannot read or write a row of Nordlicht, not even with SQL of its own.")
	_, err := Customers.Get(s.atSouth(ctx), s.db, s.doerte)
	if err := s.refused("reading it by its id", err, tenancy.ErrNotFound); err != nil {
		return err
	}
	err = Customers.Edit(s.atSouth(ctx), s.db, s.doerte, func(c *Customer) error { c.Plan = "free"; return nil })
	if err := s.refused("changing it", err, tenancy.ErrNotFound); err != nil {
		return err
	}
	err = Customers.Insert(s.atSouth(ctx), s.db, &Customer{Tenant: s.north.ID, Name: field.New("Eve")})
	if err := s.refused("inserting a row under Nordlicht's id", err, tenancy.ErrOtherTenant); err != nil {
		return err
	}
	if err := s.rawSQL(ctx); err != nil {
		return err
	}
	_, err = Customers.Get(ctx, s.db, s.doerte)
	return s.refused("reading without a tenant", err, tenancy.ErrNoTenant)
}

// refused demands that an attempt failed in the way it must.
func (s *story) refused(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s was not refused with %q: %w", what, want.Error(), err)
	}
	s.shownf("%s: %v", what, want)
	return nil
}

// rawSQL tries it with SQL of the caller.
func (s *story) rawSQL(ctx context.Context) error {
	if err := s.rawReach(ctx); err != nil {
		return err
	}
	what, query := "ATTACH of Nordlicht's file", "ATTACH DATABASE 'tenants/"+s.north.ID.String()+".db' AS other"
	if s.owner != "" {
		what = "a forged tenant in the sealed context"
		query = "SELECT count(*), set_config('art32.ctx', '1." + s.north.ID.String() + "...9999999999." +
			strings.Repeat("0", 64) + "', true) FROM customers" // read under the forged one by the next statement
	}
	err := s.db.InSQL(s.atSouth(ctx), func(ctx context.Context, tx *tenancy.SQLTx) error {
		if _, err := tx.SQLX().ExecContext(ctx, query); err != nil { //art32:allow shapedsql this is the attack
			return err
		}
		_, err := tx.SQLX().ExecContext(ctx, "SELECT count(*) FROM customers")
		return err
	})
	return s.refused(what, err, tenancy.ErrForbidden)
}

// rawReach reads and writes the other tenant's rows by their ids.
func (s *story) rawReach(ctx context.Context) error {
	return s.db.InSQL(s.atSouth(ctx), func(ctx context.Context, tx *tenancy.SQLTx) error {
		var n int
		err := tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers WHERE tenant_id = $1", s.north.ID)
		if err != nil || n != 0 {
			return fmt.Errorf("raw SQL sees %d rows of the other tenant: %w", n, err)
		}
		s.shownf("SELECT … WHERE tenant_id = <Nordlicht>: 0 rows")
		res, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET plan = 'free' WHERE id = $1", s.doerte)
		if err != nil {
			return err
		}
		if hit, err := res.RowsAffected(); err != nil || hit != 0 {
			return fmt.Errorf("raw SQL changed %d rows of the other tenant: %w", hit, err)
		}
		s.shownf("UPDATE … WHERE id = <her id>: 0 rows")
		return nil
	})
}

// change shows a change in the log.
func (s *story) change(ctx context.Context) error {
	s.title("A change of a customer stands in the log: who, when, why and what.")
	ctx = tenancy.WithReason(s.atNorth(ctx), "order 2026-117, signed by the customer")
	ctx = tenancy.WithActor(ctx, tenancy.Person(clerk))
	err := Customers.Edit(ctx, s.db, s.doerte, func(c *Customer) error {
		c.Plan, c.Phone = "pro", field.New("+49 221 4710 777")
		return nil
	})
	if err != nil {
		return err
	}
	found := 0
	for e, err := range s.log.Events(ctx, s.db, audit.Filter{Action: "customers.update", Object: s.doerte}) {
		if err != nil {
			return err
		}
		found++
		s.shownf("who   %s", e.Actor)
		s.shownf("when  %s", e.At.Format(time.RFC3339))
		s.shownf("why   %s", e.Reason)
		for _, f := range e.Fields {
			s.shownf("what  %s: %s → %s", f.Column, f.Old, f.New)
		}
	}
	if found != 1 {
		return fmt.Errorf("the log holds %d such events, not 1", found)
	}
	return nil
}

// verify seals the log and verifies it without a secret.
func (s *story) verify(ctx context.Context) error {
	s.title("The log is sealed in a Merkle tree and verifies without any secret.")
	if _, err := s.sealer.SealDue(ctx); err != nil {
		return err
	}
	return s.verified(ctx)
}

func (s *story) verified(ctx context.Context) error {
	r, err := audit.Verify(ctx, s.db, s.north.ID, nil)
	if err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("the log does not verify: %d finding(s), first: %s", len(r.Findings), first(r))
	}
	s.shownf("%s: %d entries, root %x…", r.Origin, r.Size, r.Root[:8])
	return nil
}

func first(r *audit.Report) string {
	if len(r.Findings) == 0 {
		return "entries wait for the sealer"
	}
	return r.Findings[0].Text
}

// erase erases a person.
func (s *story) erase(ctx context.Context) error {
	s.title("One person is erased; the log still verifies.")
	why := tenancy.WithReason(s.atNorth(ctx), "request under Art. 17 GDPR, passed on by Nordlicht")
	if err := s.db.Erase(why, s.doerte); err != nil {
		return err
	}
	c, err := Customers.Get(s.atNorth(ctx), s.db, s.doerte)
	if err != nil {
		return err
	}
	for _, f := range []field.Encrypted[string]{c.Name, c.Email, c.IBAN} {
		if _, err := f.Reveal(); !errors.Is(err, field.ErrErased) {
			return fmt.Errorf("a field of the erased person answers %w, not ErrErased", err)
		}
	}
	s.shownf("her row is there, its fields answer: %v", field.ErrErased)
	if n, err := Customers.Count(s.atNorth(ctx), s.db, CustomerEmail.Eq(doerteMail)); err != nil || n != 0 {
		return fmt.Errorf("she is still found by her e-mail address: %d, %w", n, err)
	}
	s.shownf("she is no longer found by her e-mail address; her city is cleared: %q", c.City)
	if _, err := s.sealer.SealDue(ctx); err != nil {
		return err
	}
	if err := s.verified(ctx); err != nil {
		return err
	}
	return s.onDiskAgain(ctx)
}

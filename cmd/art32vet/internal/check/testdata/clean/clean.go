// Package clean holds what art32vet must leave alone.
package clean

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

type customer struct {
	ID      uuid.UUID                  `db:"id"         art32:"key,subject"`
	Tenant  tenancy.ID                 `db:"tenant_id"  art32:"tenant"`
	Name    field.Encrypted[string]    `db:"name"       art32:"index=name_bidx:casefold,rows=100000"`
	Born    field.Encrypted[time.Time] `db:"born"`
	City    string                     `db:"city"       art32:"personal"`
	Created time.Time                  `db:"created_at" art32:"open"`
	Cached  chan int                   `db:"-"`
}

var customers = tenancy.MustRepository[customer]("customers")

func repository[T any](name string) (*tenancy.Repository[T], error) {
	return tenancy.NewRepository[T](name)
}

func handles(dsn string) {
	//art32:allow rawhandle the owner's login migrates
	sql.Open("pgx", dsn)
	sql.Open("pgx", dsn) //art32:allow rawhandle the same, behind the line // reviewed
	sql.Register("mine", nil)
	os.Open(dsn)
}

func transactions(ctx context.Context, db *tenancy.DB, r *http.Request, id uuid.UUID) error {
	ctx = tenancy.WithTenant(r.Context(), tenancy.ID{})
	if _, err := customers.Get(ctx, db, id); err != nil {
		return err
	}
	err := db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := customers.Get(r.WithContext(ctx).Context(), tx, id); err != nil {
			return err
		}
		mine := new(http.Request).WithContext(ctx)
		if _, err := customers.Get(mine.Context(), tx, id); err != nil {
			return err
		}
		_, err := customers.Count(ctx, tx, tenancy.MustColumn[string](customers, "city").Eq(r.FormValue("city")))
		return err
	})
	later := func(ctx context.Context) error { return customers.Delete(ctx, db, id) }
	return errors.Join(err, later(ctx), db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		<-r.Context().Done() // the request's end is waited for, not the transaction's
		if r.Context().Value(key{}) != nil || errors.Is(context.Cause(ctx), r.Context().Err()) {
			return nil
		}
		//art32:allow outerctx the request's cause is asked for, not the transaction's
		_ = context.Cause(r.Context())
		r = r.WithContext(ctx)
		if _, err := customers.Get(r.Context(), tx, id); err != nil {
			return err
		}
		get := func(tx *tenancy.SQLTx) error { return customers.Delete(ctx, tx, id) }
		if err := get(tx); err != nil {
			return err
		}
		return customers.Edit(ctx, tx, id, func(c *customer) error { c.City = "Kiel"; return nil })
	}))
}

type key struct{}

func helpers(ctx context.Context, db *tenancy.DB, c tenancy.Conn, id uuid.UUID) error {
	del := func(ctx context.Context, tx *tenancy.Tx) error { return customers.Delete(ctx, tx, id) }
	name := func(tx *tenancy.Tx) string { return tx.Tenant().String() }
	err := db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		c := tenancy.Conn(tx)
		return errors.Join(errors.New(name(tx)), customers.Delete(ctx, c, id), del(ctx, tx))
	})
	return errors.Join(err, customers.Delete(ctx, c, id))
}

type service struct {
	db  *tenancy.DB
	ctx context.Context
}

func (s *service) work(ctx context.Context, tx *tenancy.Tx) error {
	return customers.Delete(ctx, tx, uuid.Nil)
}

func (s *service) run(ctx context.Context, id uuid.UUID) (err error) {
	var after []func() error
	var last func() error
	err = s.db.In(ctx, func(inner context.Context, tx *tenancy.Tx) error {
		after = append(after, func() error { return customers.Delete(ctx, s.db, id) })
		last = func() error { return s.db.In(context.Background(), s.work) }
		own := service{ctx: inner}
		return customers.Delete(own.ctx, tx, id)
	})
	for _, f := range append(after, last) {
		err = errors.Join(err, f())
	}
	return err
}

func reveals(out io.Writer, logger *slog.Logger, c *customer) error {
	name, err := c.Name.Reveal()
	if err != nil {
		return fmt.Errorf("reveal %s: %w", c.ID, err)
	}
	fmt.Fprintln(out, name)
	fmt.Fprintf(&strings.Builder{}, "%s", name)
	logger.Info("read", "id", c.ID, "name", c.Name, "city", c.City)
	logger.Info("read", "length", len(name), "empty", name == "", "at", strings.Index(name, "@"))
	view := struct {
		ID   uuid.UUID
		Name string
	}{c.ID, name}
	log.Print(view.ID)
	born, err := c.Born.Reveal()
	log.Print(born.IsZero(), err)
	log.Print(greet(name))               //art32:allow reveallog a greeting holds no name
	fmt.Println(strings.ToLower(c.City)) // not revealed
	other := struct{ Reveal func() string }{func() string { return "" }}
	fmt.Println(other.Reveal())
	return send(name)
}

// account prints itself.
type account struct{ name string }

func (account) String() string { return "account" }

func ordered(c *customer) error {
	name := "none"
	log.Print(name)
	name, err := c.Name.Reveal()
	log.Print(err)
	log.Printf("%T, %d letters, %-3T", name, len(name), name)
	slog.Info(fmt.Sprintf("%T", name))
	var out strings.Builder
	log.Print(out.String())
	out.WriteString(name)
	if err := send(out.String()); err != nil {
		log.Print(err)
	}
	out.Reset()
	log.Print(out.String(), out.Len())
	if _, err := strconv.Atoi(name); err != nil {
		return errors.New("no number")
	}
	_, err = strconv.Atoi(name)
	log.Print(err == nil)
	err = send(name)
	log.Print(err)
	a := account{}
	a.name = name
	log.Print(a)
	if err != nil {
		panic(err)
	}
	for name = range strings.SplitSeq("a b", " ") {
		log.Print(name)
	}
	return nil
}

func variables(out io.Writer, c *customer) {
	name, _ := c.Name.Reveal()
	w, pr := io.Writer(os.Stderr), log.Printf
	fmt.Fprintln(w, c.City)
	pr("%s", c.ID)
	w, pr = out, func(string, ...any) {}
	fmt.Fprintln(w, name)
	pr("%s", name)
	log.Print(w, pr)
	b := make([]byte, 3)
	log.Print(copy([]byte(name), b), b)
	length := func() (int, error) { name, err := c.Name.Reveal(); return len(name), err }
	log.Print(length())
	var found any = c.City
	switch x := found.(type) {
	case string:
		log.Print(x)
	}
	log.Print(cmp.Or(c.City, "-"), slices.Contains([]string{name}, "Anna"))
}

func greet(string) string { return "hello" }

func send(string) error { return nil }

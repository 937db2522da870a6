package planted

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

var background = context.Background()

type server struct {
	db  *tenancy.DB
	ctx context.Context
}

// request is a context of a web framework.
type request struct{ context.Context }

func (s *server) contexts(ctx context.Context, r *http.Request, q *request, id uuid.UUID) error {
	s.db.In(ctx, func(_ context.Context, tx *tenancy.Tx) error {
		Notes.Get(ctx, tx, id)         // want `ctx comes from outside the function and carries no transaction: use the context that the function receives`
		Notes.Get(r.Context(), tx, id) // want `r.Context\(\) comes from outside`
		Notes.Get(s.ctx, tx, id)       // want `s.ctx comes from outside`
		Notes.Get(q, tx, id)           // want `q comes from outside`
		Notes.Get(q.Context, tx, id)   // want `q.Context comes from outside`
		Notes.Get(late, tx, id)        // want `late comes from outside`
		Notes.Get(background, tx, id)  // want `background comes from outside`
		renamed := ctx                 // want `ctx comes from outside`
		return Notes.Delete(renamed, tx, id)
	})
	s.db.InSQL(ctx, func(inner context.Context, tx *tenancy.SQLTx) error {
		reason := tenancy.WithTenant(ctx, tx.Tenant()) // want `ctx comes from outside`
		_, err := tx.SQLX().ExecContext(reason, `DELETE FROM notes`)
		return err
	})
	return s.wrapped(ctx, func(inner context.Context, tx *tenancy.Tx) error {
		later := func() error { return Notes.Delete(ctx, tx, id) } // want `ctx comes from outside`
		return later()
	})
}

func (s *server) wrapped(ctx context.Context, fn func(context.Context, *tenancy.Tx) error) error {
	return s.db.In(ctx, fn)
}

func (s *server) nested(ctx context.Context, id uuid.UUID) error {
	return s.db.In(ctx, func(outer context.Context, tx *tenancy.Tx) error {
		return s.db.In(outer, func(ctx context.Context, tx *tenancy.Tx) error {
			Notes.Get(ctx, tx, id)
			Notes.Get(s.ctx, tx, id)           // want `s.ctx comes from outside`
			return Notes.Delete(outer, tx, id) // want `outer comes from outside`
		})
	})
}

func (s *server) database(ctx context.Context, db *tenancy.DB, n *Note) error {
	db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return Notes.Insert(ctx, db, n) // want `db is passed inside a transaction: pass the transaction that the function receives, else the call answers ErrTxInUse`
	})
	return s.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		for range Notes.List(ctx, s.db) { // want `s.db is passed inside a transaction`
		}
		//art32:allow outerctx // want `excuses nothing without a reason`
		return Notes.Update(ctx, s.db, n) // want `s.db is passed inside a transaction`
	})
}

func (s *server) made(ctx context.Context, id uuid.UUID) error {
	return s.db.In(ctx, func(_ context.Context, tx *tenancy.Tx) error {
		Notes.Get(context.Background(), tx, id)             // want `context.Background\(\) carries no transaction: use the context that the function receives`
		inner, stop := context.WithCancel((context.TODO)()) // want `\(context.TODO\)\(\) carries no transaction`
		defer stop()
		return Notes.Delete(inner, tx, id)
	})
}

func (s *server) methods(r *http.Request, id uuid.UUID) error {
	return s.db.In(r.Context(), func(ctx context.Context, tx *tenancy.Tx) error {
		f := r.Context                                    // want `r.Context\(\) comes from outside`
		Notes.Get(f(), tx, id)                            // reported where it is kept
		Notes.Get((r.Context)(), tx, id)                  // want `r.Context\(\) comes from outside`
		Notes.Get((*http.Request).Context(r), tx, id)     // want `\(\*http.Request\).Context\(r\) comes from outside`
		Notes.Get(r.WithContext(s.ctx).Context(), tx, id) // want `s.ctx comes from outside` `r.WithContext\(s.ctx\).Context\(\) comes from outside`
		return Notes.Delete(r.WithContext(ctx).Context(), tx, id)
	})
}

// named is run by In as a method value.
func (s *server) named(ctx context.Context, tx *tenancy.Tx) error {
	Notes.Get(s.ctx, tx, uuid.Nil)           // want `s.ctx comes from outside`
	Notes.Get(background, tx, uuid.Nil)      // want `background comes from outside`
	return Notes.Delete(ctx, s.db, uuid.Nil) // want `s.db is passed inside a transaction`
}

// function is run by In by its name.
func function(_ context.Context, tx *tenancy.SQLTx) error {
	return Notes.Delete(late, tx, uuid.Nil) // want `late comes from outside`
}

func (s *server) byName(ctx context.Context) error {
	if err := s.db.InSQL(ctx, function); err != nil {
		return err
	}
	return s.db.In(ctx, s.named)
}

func (s *server) laterInside(ctx context.Context, id uuid.UUID) error {
	var later func() error
	return s.db.In(ctx, func(_ context.Context, tx *tenancy.Tx) error {
		later = func() error { return Notes.Delete(ctx, tx, id) } // want `ctx comes from outside`
		return later()
	})
}

func (s *server) helpers(ctx context.Context, id uuid.UUID) error {
	del := func(tx *tenancy.Tx) error {
		return Notes.Delete(ctx, tx, id) // want `ctx comes from outside the function and carries no transaction: let the function receive that of the transaction`
	}
	return s.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return del(tx) })
}

func (s *server) conn(ctx context.Context, n *Note) error {
	var c tenancy.Conn = s.db
	return s.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		return Notes.Insert(ctx, c, n) // want `c comes from outside the function: pass the transaction that the function receives`
	})
}

func (s *server) setLate(r *http.Request, id uuid.UUID) error {
	return s.db.In(r.Context(), func(ctx context.Context, tx *tenancy.Tx) error {
		Notes.Get(r.Context(), tx, id) // want `r.Context\(\) comes from outside`
		r = r.WithContext(r.Context()) // want `r.Context\(\) comes from outside`
		Notes.Get(r.Context(), tx, id) // want `r.Context\(\) comes from outside`
		r = r.WithContext(ctx)
		return Notes.Delete(r.Context(), tx, id)
	})
}

var late = context.TODO()

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sqlstore"
)

// idleLimit is short, so that nobody need wait: in earnest it is minutes.
const idleLimit = time.Second

// clerk is a person who works at Nordlicht.
var clerk = uuid.MustParse("6f1c1d5e-4c0e-4a54-9a0e-0c9b1f6f2c11")

// region login

// portal is the application as a browser meets it. A real one checks a password
// before it calls Login; see session/password.
func (s *story) portal(m *session.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if _, err := m.Login(w, r, session.Identity{Tenant: s.north.ID, User: clerk}); err != nil {
			http.Error(w, "no login", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /customers", m.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := Customers.Count(r.Context(), s.db) // tenant and actor come from the session
		if err != nil {
			http.Error(w, "no answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, n)
	})))
	return m.Middleware(mux)
}

// endregion

// login shows that a session ends by itself, on a real connection and with a
// second that is really waited.
func (s *story) login(ctx context.Context) (err error) {
	s.title("Somebody logs in; a session that is not used ends by itself.")
	store, err := sqlstore.New(s.db)
	if err != nil {
		return err
	}
	m, err := session.New(store, s.recorder, &session.Options{Policy: session.Policy{Idle: idleLimit}})
	if err != nil {
		return err
	}
	url, browser, stop, err := serve(s.portal(m))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := s.answers(ctx, browser, http.MethodGet, url+"/customers", http.StatusUnauthorized); err != nil {
		return err
	}
	if err := s.answers(ctx, browser, http.MethodPost, url+"/login", http.StatusOK); err != nil {
		return err
	}
	if err := s.answers(ctx, browser, http.MethodGet, url+"/customers", http.StatusOK); err != nil {
		return err
	}
	select {
	case <-time.After(idleLimit + 100*time.Millisecond):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.printf("   … %.1f s later", (idleLimit + 100*time.Millisecond).Seconds())
	if err := s.answers(ctx, browser, http.MethodGet, url+"/customers", http.StatusUnauthorized); err != nil {
		return err
	}
	return s.loggedLogin(ctx)
}

// answers demands a status.
func (s *story) answers(ctx context.Context, client *http.Client, method, url string, want int) error {
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	what := method + url[strings.LastIndexByte(url, '/'):]
	if res.StatusCode != want {
		return fmt.Errorf("%s answered %d, not %d", what, res.StatusCode, want)
	}
	s.shownf("%s: %s", strings.Replace(what, "/", " /", 1), res.Status)
	return nil
}

// loggedLogin shows what the log tells of it.
func (s *story) loggedLogin(ctx context.Context) error {
	for _, action := range []string{"session.open", "session.expire"} {
		found := false
		for e, err := range s.log.Events(s.atNorth(ctx), s.db, audit.Filter{Action: action}) {
			if err != nil {
				return err
			}
			found = true
			s.shownf("the log tells %s by %s", e.Action, e.Actor)
		}
		if !found {
			return fmt.Errorf("the log holds no event %s", action)
		}
	}
	return nil
}

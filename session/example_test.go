package session_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/tenancy"
)

// printer stands for the audit log, an *audit.Recorder.
type printer struct{}

func (printer) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	fmt.Println("event:", action, attrs)
	return nil
}

// A browser logs in, is known, and logs out.
func Example() {
	m, err := session.New(memstore.New(), printer{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- m.Run(ctx) }()
	petra := session.Identity{Tenant: tenancy.NewID(), User: uuid.New()}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// Here the application checks a password.
		if _, err := m.Login(w, r, petra); err != nil {
			http.Error(w, "login failed", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Logout(w, r); err != nil {
			http.Error(w, "logout failed", http.StatusInternalServerError)
		}
	})
	mux.Handle("GET /app/", m.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := session.From(r.Context())
		actor, _ := tenancy.ActorFrom(r.Context())
		fmt.Fprint(w, s.User == petra.User, actor == tenancy.Person(petra.User))
	})))
	server := httptest.NewTLSServer(m.Middleware(mux))
	defer server.Close()

	browser := server.Client()
	browser.Jar, _ = cookiejar.New(nil)
	for _, step := range []string{"GET /app/", "POST /login", "GET /app/", "POST /logout", "GET /app/"} {
		var method, path string
		_, _ = fmt.Sscan(step, &method, &path)
		r, _ := http.NewRequestWithContext(context.Background(), method, server.URL+path, nil)
		res, err := browser.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Printf("%s: %d %q\n", step, res.StatusCode, body)
	}
	stop()
	fmt.Println("run:", <-ran)
	// Output:
	// GET /app/: 401 "login required\n"
	// event: session.open []
	// POST /login: 200 ""
	// GET /app/: 200 "true true"
	// event: session.close [reason=logout]
	// POST /logout: 200 ""
	// GET /app/: 401 "login required\n"
	// run: context canceled
}

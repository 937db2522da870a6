package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/web"
)

// Each customer has a host name of its own.
func Example() {
	nordlicht := tenancy.NewID()
	byHost := func(_ context.Context, host string) (tenancy.ID, error) { // a query, as a rule
		if host == "nordlicht.example.org" {
			return nordlicht, nil
		}
		return tenancy.ID{}, tenancy.ErrNotFound
	}
	gate, err := web.New(web.Host(byHost), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	app := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := tenancy.TenantFrom(r.Context())
		fmt.Fprint(w, id == nordlicht, " ", err)
	}))
	for _, address := range []string{"https://nordlicht.example.org/", "https://suedwind.example.org/"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
		r.Header.Set("X-Forwarded-Host", "nordlicht.example.org") // counts for nothing
		out := httptest.NewRecorder()
		app.ServeHTTP(out, r)
		fmt.Println(out.Code, out.Body)
	}
	// Output:
	// 200 true <nil>
	// 404 Not Found
}

package carrier_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/carrier"
)

// TestHTTP sends the context of one service to another over TLS.
func TestHTTP(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	keys, down := newKeys(t)
	var log strings.Builder
	c, err := carrier.New(keys, "service/reports", &carrier.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	called := 0
	server := httptest.NewTLSServer(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called++
		id, err := tenancy.TenantFrom(r.Context())
		actor, _ := tenancy.ActorFrom(r.Context())
		if err != nil || r.Header.Get(carrier.Header) != "" {
			t.Errorf("handler: %v, header %q", err, r.Header.Get(carrier.Header))
		}
		_, _ = io.WriteString(w, id.String()+" "+actor.String())
	})))
	defer server.Close()
	plain := server.Client()
	client := &http.Client{Transport: c.Transport(plain.Transport)}
	do := func(client *http.Client, ctx func(*http.Request) *http.Request) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("body"))
		must(t, err)
		resp, err := client.Do(ctx(r))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	tenant, actor := tenancy.NewID(), tenancy.Person(uuid.New())
	as := func(r *http.Request) *http.Request {
		return r.WithContext(tenancy.WithActor(tenancy.WithTenant(r.Context(), tenant), actor))
	}
	if code, body := do(client, as); code != 200 || body != tenant.String()+" "+actor.String() {
		t.Errorf("%d %s", code, body)
	}
	if code, body := do(client, func(r *http.Request) *http.Request { return r }); code != 0 || !strings.Contains(body, "no tenant") {
		t.Errorf("without a tenant: %d %s", code, body)
	}
	seal := func(c *carrier.Carrier) string {
		text, err := c.Seal(tenancy.WithTenant(t.Context(), tenant), time.Hour)
		must(t, err)
		return text
	}
	good := seal(c)
	for name, headers := range map[string][]string{
		"none": nil, "empty": {""}, "two": {good, good}, "forged": {"a32c1.AAAA"}, "another service's": {seal(newCarrier(t, keys, "service/other"))},
	} {
		code, body := do(plain, func(r *http.Request) *http.Request {
			r.Header[http.CanonicalHeaderKey(carrier.Header)] = headers
			return r
		})
		if code != http.StatusUnauthorized || strings.Contains(body, tenant.String()) {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	down()
	if code, body := do(plain, func(r *http.Request) *http.Request { r.Header.Set(carrier.Header, good); return r }); code != http.StatusServiceUnavailable || called != 1 {
		t.Errorf("keystore down: %d %s, %d calls", code, body, called)
	}
	if !strings.Contains(log.String(), "keys not available") || strings.Contains(log.String(), good) {
		t.Errorf("log: %s", log.String())
	}
}

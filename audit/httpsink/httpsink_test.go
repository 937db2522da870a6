package httpsink_test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/art32/art32/audit/httpsink"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return pool
}

// A batch arrives whole, with what logs in, and counts only with an answer of class 2xx.
func TestSend(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	var status, elsewhere atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != "1\n2\n" || r.Method != http.MethodPost ||
			r.Header.Get("Authorization") != "Bearer canary" || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s %v: %q, %v", r.Method, r.Header, b, err)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
	}))
	defer s.Close()
	o := &httpsink.Options{Header: http.Header{"Authorization": {"Bearer canary"}}, RootCAs: roots(s)}
	sink, err := httpsink.New(s.URL+"/in?token=canary", o)
	must(t, err)
	for code, ok := range map[int64]bool{200: true, 202: true, 204: true, 307: false, 400: false, 429: false, 500: false, 503: false} {
		status.Store(code)
		if err := sink.Send(t.Context(), []byte("1\n2\n")); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: %v", code, err)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("followed a redirect")
	}
}

// A collector that nobody vouches for, hangs or is gone takes nothing, and the error
// tells no token.
func TestUnreached(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	ended := make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer s.Close()
	defer close(ended)
	unknown, err := httpsink.New(s.URL+"/in?token=canary", nil)
	must(t, err)
	slow, err := httpsink.New(s.URL+"/in?token=canary", &httpsink.Options{RootCAs: roots(s), Timeout: 50 * time.Millisecond})
	must(t, err)
	gone, err := httpsink.New("https://127.0.0.1:1/in?token=canary", nil)
	must(t, err)
	for name, sink := range map[string]*httpsink.Sink{"unknown": unknown, "slow": slow, "gone": gone} {
		if err := sink.Send(t.Context(), []byte("1\n")); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	for to, ok := range map[string]bool{
		"https://siem.example/in": true, "http://127.0.0.1:8088/in": true, "http://localhost/in": true, "http://[::1]/in": true,
		"http://siem.example/in": false, "http://localhost.example.org": false, "https://u:p@siem.example": false, "siem.example": false, "": false, "ftp://localhost/x": false,
	} {
		if _, err := httpsink.New(to, nil); (err == nil) != ok {
			t.Errorf("%s: %v", to, err)
		}
	}
}

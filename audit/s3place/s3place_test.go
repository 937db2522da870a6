package s3place_test

import (
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/s3place"
	"github.com/art32/art32/tenancy"
)

const origin = "art32.audit/0d6a1f0e-6a4b-4b62-9f0e-5d3a8c9be0a1"

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func head(size int64, text string) *audit.Head {
	return &audit.Head{Checkpoint: audit.Checkpoint{Origin: origin, Size: size}, Note: []byte(text)}
}

// The greatest size is the newest, of many, below the prefix alone.
func TestNewest(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	client, name := bucket(t)
	p, err := s3place.New("bucket", client, name, &s3place.Options{Prefix: "heads/"})
	must(t, err)
	other, err := s3place.New("bucket", client, name, nil)
	must(t, err)
	if held, err := p.Held(t.Context(), origin); err != nil || held != nil {
		t.Errorf("an empty bucket holds %q, %v", held, err)
	}
	_, err = other.Put(t.Context(), head(5000, "of another prefix"))
	must(t, err)
	for _, h := range []*audit.Head{head(9, "nine"), head(1000, "thousand"), head(10, "ten")} {
		_, err := p.Put(t.Context(), h)
		must(t, err)
	}
	if held, err := p.Held(t.Context(), origin); err != nil || string(held) != "thousand" {
		t.Errorf("held %q, %v", held, err)
	}
	if _, err := p.Held(t.Context(), "../x"); err == nil {
		t.Error("asked for what is no origin")
	}
}

// A publisher's heads lie in the bucket, and the next one compares with them.
func TestPublished(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	client, name := bucket(t)
	w := newWorld(t)
	grow(t, w, 3)
	for _, want := range []int{1, 0} {
		p, err := s3place.New("bucket", client, name, nil)
		must(t, err)
		publisher, err := audit.NewPublisher(w.DB, []audit.Place{p}, &audit.PublisherOptions{Tenants: []tenancy.ID{w.A}})
		must(t, err)
		r, err := publisher.PublishDue(t.Context())
		must(t, err)
		if r.Heads != want || len(r.Disagreements) != 0 {
			t.Errorf("got %+v, want %d heads", r, want)
		}
	}
}

// What a service refuses is an error, and never an empty bucket; the text holds the
// code alone.
func TestRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	_, name := bucket(t)
	client, err := service.login("another secret")
	must(t, err)
	p, err := s3place.New("bucket", client, name, nil)
	must(t, err)
	_, errHeld := p.Held(t.Context(), origin)
	_, errPut := p.Put(t.Context(), head(1, "x"))
	for _, err := range []error{errHeld, errPut} {
		if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), name) {
			t.Errorf("%v", err)
		}
	}
}

// Nothing is sent in clear to another machine.
func TestGuarded(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	for endpoint, want := range map[string]bool{"s3.example.org": false, "127.0.0.1.example.org": false, "localhost:9000": true, "[::1]:9000": true} {
		for _, secure := range []bool{false, true} {
			client, err := minio.New(endpoint, &minio.Options{Creds: credentials.NewStaticV4("a", "b", ""), Secure: secure})
			must(t, err)
			if _, err := s3place.New("bucket", client, "bucket", nil); (err == nil) != (want || secure) {
				t.Errorf("%s, TLS %v: %v", endpoint, secure, err)
			}
		}
	}
}

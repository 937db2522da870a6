package witness_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/witness"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// taking is a place that takes heads into memory.
type taking struct{ head *audit.Head }

func (*taking) Name() string                                 { return "memory" }
func (*taking) Held(context.Context, string) ([]byte, error) { return nil, nil }
func (p *taking) Put(_ context.Context, h *audit.Head) ([]string, error) {
	p.head = h
	return nil, nil
}

// head is the newest of tenant A's log, as a publisher hands it over.
func head(t *testing.T, w *tenancytest.World) *audit.Head {
	t.Helper()
	p := &taking{}
	publisher, err := audit.NewPublisher(w.DB, []audit.Place{p}, &audit.PublisherOptions{Tenants: []tenancy.ID{w.A}})
	must(t, err)
	_, err = publisher.PublishDue(t.Context())
	must(t, err)
	return p.head
}

// It learns once what the witness holds, and proves from there.
func TestCosigned(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), newServer(t)
	grow(t, w, 3)
	p := s.place(t)
	if _, err := p.Put(t.Context(), head(t, w)); !errors.Is(err, audit.ErrNotTaken) {
		t.Errorf("of a log that it does not know: %v", err)
	}
	h := head(t, w)
	s.keys[h.Origin] = h.Key
	for _, n := range []int{0, 4, 300} {
		if n == 300 {
			p = s.place(t) // another process
		}
		grow(t, w, n)
		h := head(t, w)
		lines, err := p.Put(t.Context(), h)
		must(t, err)
		if len(lines) != 1 {
			t.Fatalf("got %q", lines)
		}
		must(t, witness.Verify([]byte(string(h.Note)+lines[0]+"\n"), s.vkey))
	}
	want := []string{"old 0", "old 0", "old 3", "old 0", "old 7"}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
}

// Only what verifies under the key of the witness counts.
func TestAnswers(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), newServer(t)
	grow(t, w, 3)
	h := head(t, w)
	s.keys[h.Origin] = h.Key
	text, _, _ := strings.Cut(string(h.Note), "\n\n")
	other := ed25519.NewKeyFromSeed(make([]byte, 32))
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, right string)
		lines  int // 0: an error
	}{
		"right":               {func(w http.ResponseWriter, right string) { write(w, right) }, 1},
		"beside a stranger's": {func(w http.ResponseWriter, right string) { write(w, cosign("x.example", other, text+"\n", 1)+right) }, 1},
		"a stranger's alone":  {func(w http.ResponseWriter, _ string) { write(w, cosign("x.example", other, text+"\n", 1)) }, 0},
		"another's key":       {func(w http.ResponseWriter, _ string) { write(w, cosign(witnessName, other, text+"\n", 1)) }, 0},
		"of another text":     {func(w http.ResponseWriter, _ string) { write(w, cosign(witnessName, s.key, "x\n1\nx\n", 1)) }, 0},
		"another time":        {func(w http.ResponseWriter, _ string) { write(w, moved(cosign(witnessName, s.key, text+"\n", 1))) }, 0},
		"a time too great":    {func(w http.ResponseWriter, _ string) { write(w, cosign(witnessName, s.key, text+"\n", 1<<63)) }, 0},
		"nothing":             {func(http.ResponseWriter, string) {}, 0},
		"cut":                 {func(w http.ResponseWriter, right string) { write(w, right[:len(right)-5]) }, 0},
		"without end":         {func(w http.ResponseWriter, right string) { write(w, right+strings.Repeat("x", 1<<20)) }, 0},
		"moved elsewhere": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", s.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 0},
		"at fault": {func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusInternalServerError) }, 0},
	} {
		s.mu.Lock()
		s.answer = c.answer
		s.mu.Unlock()
		lines, err := s.place(t).Put(t.Context(), h)
		if len(lines) != c.lines || (err == nil) != (c.lines > 0) {
			t.Errorf("%s: %q, %v", name, lines, err)
		}
		if _, is := errors.AsType[*audit.Disagreement](err); is {
			t.Errorf("%s: passes for a disagreement", name)
		}
	}
}

func write(w http.ResponseWriter, s string) { _, _ = w.Write([]byte(s)) }

// moved sets the time of a cosignature an hour or so ahead.
func moved(line string) string {
	at := strings.LastIndexByte(line, ' ') + 1
	b := []byte(line)
	if b[at+14] == 'A' {
		b[at+14] = 'B'
	} else {
		b[at+14] = 'A'
	}
	return string(b)
}

// A log that was set back, or begun anew, is a disagreement.
func TestDisagrees(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), newServer(t)
	grow(t, w, 5)
	h := head(t, w)
	s.keys[h.Origin] = h.Key
	for name, c := range map[string]struct {
		size  int64
		other bool
		looks audit.Divergence
	}{
		"more there":         {9, false, audit.RolledBack},
		"as much, and other": {5, true, audit.Forked},
		"less, and other":    {3, true, audit.Forked},
	} {
		held := s.held[h.Origin]
		held.N = c.size
		held.Hash[0] ^= 1
		s.held[h.Origin] = held
		_, err := s.place(t).Put(t.Context(), h)
		d, ok := errors.AsType[*audit.Disagreement](err)
		if !ok || d.Looks != c.looks || d.Held != c.size || d.Ours != 5 || d.Place != witnessName || d.Origin != h.Origin {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	s := newServer(t)
	logKey, err := note.NewEd25519VerifierKey(witnessName, s.key.Public().(ed25519.PublicKey))
	must(t, err)
	for _, c := range []struct {
		url, key string
		ok       bool
	}{
		{"https://witness.example", s.vkey, true}, {"http://127.0.0.1:7380/x", s.vkey, true}, {"http://localhost:7380", s.vkey, true},
		{"http://witness.example", s.vkey, false}, {"http://127.0.0.1.example.org", s.vkey, false}, {"ftp://127.0.0.1", s.vkey, false},
		{"https://u:p@witness.example", s.vkey, false}, {"https://witness.example/?a=b", s.vkey, false}, {"witness.example", s.vkey, false},
		{"https://witness.example", "", false}, {"https://witness.example", logKey, false}, {"https://witness.example", "x" + s.vkey, false},
	} {
		if _, err := witness.New(c.url, c.key, nil); (err == nil) != c.ok {
			t.Errorf("%s with %s: %v", c.url, c.key, err)
		}
	}
}

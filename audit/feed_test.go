package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/filesink"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// taker is a sink in memory that can fail.
type taker struct {
	mu      sync.Mutex
	batches [][]byte
	failing bool
	refused int
}

func (s *taker) Send(_ context.Context, lines []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		s.refused++
		return errors.New("the collector is away")
	}
	s.batches = append(s.batches, bytes.Clone(lines))
	return nil
}

func (s *taker) fail(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = yes
}

func (s *taker) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *taker) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

func (s *taker) all() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Join(s.batches, nil)
}

// sent is a line as a receiver reads it.
type sent struct {
	V       int             `json:"v"`
	Log     string          `json:"log"`
	Index   int64           `json:"index"`
	Event   string          `json:"event"`
	Tenant  string          `json:"tenant"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Outcome string          `json:"outcome"`
	Payload json.RawMessage `json:"payload"`
}

func parseLines(t *testing.T, text []byte) (all []sent) {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var l sent
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		all = append(all, l)
	}
	return all
}

func (w *world) feed(t *testing.T, sink audit.Sink, o audit.FeedOptions) *audit.Feed {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(w.logged, nil))
	f, err := audit.NewFeed(w.log, w.db, "siem", sink, &o)
	must(t, err)
	return f
}

func (w *world) send(t *testing.T, f *audit.Feed, want int) {
	t.Helper()
	n, err := f.SendDue(t.Context())
	must(t, err)
	if n != want {
		t.Errorf("sent %d entries, not %d", n, want)
	}
}

// Each sealed entry of every log is sent once, in the order of its tree, and what
// waits for the sealer is not.
func TestFeed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 10)
		must(t, customers.Insert(w.in(t.Context(), w.b), w.db, &customer{Email: field.New("b@b.de"), City: "B", Plan: "p"}))
		sink := &taker{}
		f := w.feed(t, sink, audit.FeedOptions{Batch: 4})
		w.send(t, f, 2) // that the tenants were made is sealed at once
		total := w.seal(t)
		w.customers(t, 1) // waits
		w.send(t, f, total)
		w.send(t, w.feed(t, sink, audit.FeedOptions{Batch: 4}), 0)
		next := map[string]int64{}
		of := map[string]string{}
		for _, l := range parseLines(t, sink.all()) {
			if l.V != 1 || l.Index != next[l.Log] || len(l.Payload) != 0 || l.Outcome != "done" || of[l.Log] != "" && of[l.Log] != l.Tenant {
				t.Errorf("got %+v, want number %d", l, next[l.Log])
			}
			next[l.Log]++
			of[l.Log] = l.Tenant
		}
		if len(next) != 3 || next[w.verify(t, nil).Origin] != 10 || of[w.verify(t, nil).Origin] != w.a.String() {
			t.Errorf("sent %v of %v", next, of)
		}
		if strings.Contains(string(sink.all()), "gruenwald") || strings.Contains(string(sink.all()), "Xanten") {
			t.Error("a payload was sent")
		}
		w.seal(t)
		w.send(t, f, 1)
	})
}

// While the sink is away nothing is lost, and the cursor stays.
func TestFeedFailing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		sink := &taker{failing: true}
		f := w.feed(t, sink, audit.FeedOptions{Tenant: w.a, Interval: time.Millisecond})
		for range 2 {
			if n, err := f.SendDue(t.Context()); err == nil || n != 0 {
				t.Errorf("sent %d, %v", n, err)
			}
		}
		stop := running(t, f.Run)
		await(t, func() bool { return sink.refusals() >= 4 }) // the running feed has met it too
		sink.fail(false)
		await(t, func() bool { return sink.count() > 0 })
		stop()
		if got := parseLines(t, sink.all()); len(got) != 5 || got[4].Index != 4 {
			t.Errorf("got %+v", got)
		}
	})
}

// Payloads leave for the one tenant whose sink it is, and what was erased is marked.
func TestFeedWithPayload(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.sealed(t, 2)
		w.erase(t, all[0].ID)
		w.seal(t)
		sink := &taker{}
		f := w.feed(t, sink, audit.FeedOptions{Tenant: w.a, Content: audit.WithPayload})
		n, err := f.SendDue(t.Context())
		must(t, err)
		got := parseLines(t, sink.all())
		if n != len(got) || !strings.Contains(string(got[0].Payload), `"erased":true`) || strings.Contains(string(got[0].Payload), "gruenwald") ||
			!strings.Contains(string(got[1].Payload), "petra.gruenwald@example.org") || !strings.Contains(string(got[1].Payload), "Anruf von Frau Grünwald") {
			t.Errorf("sent %d: %s", n, sink.all())
		}
		for _, o := range []audit.FeedOptions{{Content: audit.WithPayload}, {Content: 7}} {
			if _, err := audit.NewFeed(w.log, w.db, "siem", sink, &o); err == nil {
				t.Errorf("made a feed with %+v", o)
			}
		}
	})
}

// A row that claims a place behind the end does not make the feed pass over what is
// sealed there later, and a gap is told.
func TestFeedOfDamagedLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		w.customers(t, 1)
		w.raw(t, `UPDATE art32.events SET leaf = 1000 WHERE leaf IS NULL AND tenant_id = TENANT`,
			`DELETE FROM art32.events WHERE leaf = 2 AND tenant_id = TENANT`)
		sink := &taker{}
		f := w.feed(t, sink, audit.FeedOptions{Tenant: w.a})
		w.send(t, f, 4)
		if !strings.Contains(w.logged.String(), "missing=1") {
			t.Errorf("logged:\n%s", w.logged)
		}
		w.customers(t, 2)
		w.seal(t)
		w.send(t, f, 2)
		if got := parseLines(t, sink.all()); len(got) != 6 || got[5].Index != 6 {
			t.Errorf("got %+v", got)
		}
		if n := strings.Count(w.logged.String(), "missing="); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// Two instances lose nothing, whatever their leases say.
func TestFeedsBesideEachOther(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 300)
		sink := &taker{}
		var work sync.WaitGroup
		for range 3 {
			f := w.feed(t, sink, audit.FeedOptions{Tenant: w.a, Batch: 7})
			work.Go(func() {
				for {
					if n, err := f.SendDue(t.Context()); err == nil && n == 0 {
						return
					}
				}
			})
		}
		work.Wait()
		seen := map[int64]bool{}
		for _, l := range parseLines(t, sink.all()) {
			seen[l.Index] = true
		}
		if len(seen) != 300 {
			t.Errorf("%d entries arrived", len(seen))
		}
	})
}

const envFeedKill = "ART32_TEST_KILL_FEED_AT"

// TestFeedChild is no test of its own: it sends and dies at a step.
func TestFeedChild(t *testing.T) {
	step := os.Getenv(envFeedKill)
	if step == "" {
		return
	}
	var at tenancytest.Place
	must(t, json.Unmarshal([]byte(os.Getenv(envWorld)), &at))
	w := openWorld(t, at)
	sink, err := filesink.New(os.Getenv("ART32_TEST_FEED_FILE"))
	must(t, err)
	f := w.feed(t, sink, audit.FeedOptions{Tenant: w.a, Batch: 4})
	seen := 0
	f.OnStep(func(name string) {
		if name != step {
			return
		}
		if seen++; seen == 2 { // in the middle
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Minute)
		}
	})
	_, _ = f.SendDue(t.Context())
}

// Wherever it is killed, nothing is lost, and at most one batch comes twice.
func TestFeedKilledAtEachStep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "feed.jsonl")
		var twice, total int
		for _, step := range []string{"read", "taken", "moved", "taken"} {
			w.customers(t, 12)
			total += 12
			w.seal(t)
			w.killChild(t, "TestFeedChild", envFeedKill+"="+step, "ART32_TEST_FEED_FILE="+file)
			half, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = half.WriteString(`{"v":1,"log":"art32.au`) // as if it was killed while it wrote
			must(t, errors.Join(err, half.Close()))
			if step == "taken" {
				twice += 4
			}
		}
		sink, err := filesink.New(file)
		must(t, err)
		_, err = w.feed(t, sink, audit.FeedOptions{Tenant: w.a, Batch: 4}).SendDue(t.Context())
		must(t, err)
		text, err := os.ReadFile(file)
		must(t, err)
		lines, seen := parseLines(t, text), map[string]bool{}
		for _, l := range lines {
			seen[fmt.Sprint(l.Log, l.Index, l.Event)] = true
		}
		if len(seen) != total || len(lines) != total+twice {
			t.Errorf("%d entries in %d lines; want %d in %d", len(seen), len(lines), total, total+twice)
		}
	})
}

func TestNewFeedRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	sink := &taker{}
	for _, name := range []string{"", "SIEM", "a b", "../x", strings.Repeat("a", 65)} {
		if _, err := audit.NewFeed(nil, &tenancy.DB{}, name, sink, nil); err == nil {
			t.Errorf("a feed called %q", name)
		}
	}
	if _, err := audit.NewFeed(nil, &tenancy.DB{}, "siem", nil, nil); err == nil {
		t.Error("a feed without sink")
	}
}

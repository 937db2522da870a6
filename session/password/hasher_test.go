package password_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/art32/art32/session/password"
)

//go:embed testdata/argon2id.txt
var vectors string

// TestVectors verifies hashes of the reference implementation.
func TestVectors(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	tested := 0
	for line := range strings.Lines(vectors) {
		pw, phc, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || pw == "#" {
			continue
		}
		tested++
		if _, err := h.Verify(t.Context(), phc, []byte(pw)); err != nil {
			t.Errorf("%s: %v", phc, err)
		}
	}
	if tested != 7 {
		t.Errorf("%d vectors", tested)
	}
}

// TestPresets makes a hash by each preset and looks at the parameters, which
// stand in the text.
func TestPresets(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	for preset, want := range map[password.Preset]string{
		password.OWASP19MiB:    "m=19456,t=2,p=1",
		password.OWASP46MiB:    "m=47104,t=1,p=1",
		password.RFC9106Second: "m=65536,t=3,p=4",
	} {
		h := newHasher(t, &password.Options{Preset: preset})
		phc := hash(t, h, "Sommerregen 27")
		if !strings.HasPrefix(phc, "$argon2id$v=19$"+want+"$") || preset.String() != want {
			t.Errorf("%s: %s, want %s", preset, phc, want)
		}
		if rehash, err := h.Verify(t.Context(), phc, []byte("Sommerregen 27")); rehash || err != nil {
			t.Errorf("%s: rehash %v, %v", preset, rehash, err)
		}
		if again := hash(t, h, "Sommerregen 27"); again == phc {
			t.Errorf("%s: a salt came twice", preset)
		}
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	if phc := hash(t, newHasher(t, nil), "secret"); !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(phc)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	for name, o := range map[string]password.Options{
		"an unknown preset":        {Preset: password.RFC9106Second + 1},
		"less than one hash":       {Memory: 19456<<10 - 1},
		"less than one, by preset": {Memory: 19456 << 10, Preset: password.OWASP46MiB},
		"a negative budget":        {Memory: -1},
		"a negative queue":         {Queue: -1},
	} {
		if h, err := password.New(&o); err == nil || h != nil {
			t.Errorf("%s was taken", name)
		}
	}
	if got := password.Preset(9).String(); got != "Preset(9)" {
		t.Errorf("an unknown preset prints %s", got)
	}
}

// TestEveryByteCounts shows that nothing is cut, trimmed or folded (ASVS 6.2.8).
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	for name, pair := range map[string][2]string{
		"leading blank":   {" secret", "secret"},
		"case":            {"Secret", "secret"},
		"after a NUL":     {"sec\x00ret", "sec\x00rat"},
		"the 1024th byte": {strings.Repeat("x", 1023) + "a", strings.Repeat("x", 1023) + "b"},
		"normal forms":    {"Mu\u0308ller", "M\u00fcller"},
		"no UTF-8":        {"\xff\xfe", "\xff\xfd"},
	} {
		phc := hash(t, h, pair[0])
		if _, err := h.Verify(t.Context(), phc, []byte(pair[0])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := h.Verify(t.Context(), phc, []byte(pair[1])); !errors.Is(err, password.ErrMismatch) {
			t.Errorf("%s: both pass: %v", name, err)
		}
	}
}

func TestLengths(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	phc := hash(t, h, "something")
	for want, pw := range map[error][]byte{
		password.ErrEmpty:   nil,
		password.ErrTooLong: bytes.Repeat([]byte("x"), password.MaxLength+1),
	} {
		_, hashErr := h.Hash(t.Context(), pw)
		_, verifyErr := h.Verify(t.Context(), phc, pw)
		for verb, err := range map[string]error{"Hash": hashErr, "Verify": verifyErr, "Dummy": h.Dummy(t.Context(), pw)} {
			if !errors.Is(err, want) {
				t.Errorf("%s of %d bytes: %v", verb, len(pw), err)
			}
		}
	}
}

// TestRehash names what is less than today's preset.
func TestRehash(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	const vector = "$argon2id$v=19$m=65536,t=4,p=1$c29tZXNhbHQ$kCXUjmjvc5XMqQedpMTsOv+zyJEf5PhtGiUghW9jFyw"
	small := newHasher(t, nil)
	large := newHasher(t, &password.Options{Preset: password.RFC9106Second})
	cases := map[string]struct {
		h    *password.Hasher
		phc  string
		want bool
	}{
		"stronger":     {small, hash(t, large, "password"), false},
		"weaker":       {large, hash(t, small, "password"), true},
		"a short salt": {small, vector, true},
	}
	for name, c := range cases {
		if got, err := c.h.Verify(t.Context(), c.phc, []byte("password")); got != c.want || err != nil {
			t.Errorf("%s: rehash %v, %v", name, got, err)
		}
		if got, err := c.h.Verify(t.Context(), c.phc, []byte("Password")); got || !errors.Is(err, password.ErrMismatch) {
			t.Errorf("%s, wrong password: rehash %v, %v", name, got, err)
		}
	}
}

func TestDummy(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	if err := h.Dummy(t.Context(), []byte("whatever")); !errors.Is(err, password.ErrMismatch) {
		t.Errorf("Dummy: %v", err)
	}
	wantWork(t, h, func(ctx context.Context) error { return h.Dummy(ctx, []byte("whatever")) })
}

// wantWork shows that fn hashes: it waits for memory as a true login does.
func wantWork(t *testing.T, h *password.Hasher, fn func(context.Context) error) {
	t.Helper()
	all := h.Gate().Free()
	noError(t, h.Gate().Acquire(t.Context(), all))
	defer h.Gate().Release(all)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- fn(ctx) }()
	for h.Gate().Waiting() == 0 {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestUnusableTakesTime shows that an account whose stored text cannot be used
// answers no sooner than one that does not exist.
func TestUnusableTakesTime(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	for _, phc := range []string{"", "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", strings.Replace(sound, "m=19456", "m=262145", 1)} {
		wantWork(t, h, func(ctx context.Context) error {
			_, err := h.Verify(ctx, phc, []byte("whatever"))
			return err
		})
		if _, err := h.Verify(t.Context(), phc, []byte("whatever")); !errors.Is(err, password.ErrHash) {
			t.Errorf("%q: %v", phc, err)
		}
	}
}

// TestErrorsSayNothing looks for a password, a salt and a hash in every error.
func TestErrorsSayNothing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	const canary = "Kanarienvogel"
	h := newHasher(t, &password.Options{Memory: 19456 << 10, Queue: 1})
	phc := hash(t, h, canary)
	parts := strings.Split(phc, "$")
	long := []byte(strings.Repeat(canary, 100))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, tooLong := h.Hash(t.Context(), long)
	_, mismatch := h.Verify(t.Context(), phc, []byte(canary+"x"))
	_, cut := h.Verify(t.Context(), phc[:len(phc)-1]+"!", []byte(canary))
	_, bounds := h.Verify(t.Context(), strings.Replace(phc, "m=19456", "m=19457", 1), []byte(canary))
	_, cancelled := h.Verify(gone, phc, []byte(canary))
	for _, err := range []error{tooLong, mismatch, cut, bounds, cancelled, h.Dummy(t.Context(), []byte(canary))} {
		if err == nil {
			t.Fatal("no error")
		}
		for _, secret := range []string{canary, parts[4], parts[5], parts[5][:8]} {
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
				t.Errorf("%q holds %q", text, secret)
			}
		}
	}
}

func newHasher(tb testing.TB, o *password.Options) *password.Hasher {
	tb.Helper()
	h, err := password.New(o)
	noError(tb, err)
	return h
}

func hash(tb testing.TB, h *password.Hasher, pw string) string {
	tb.Helper()
	phc, err := h.Hash(tb.Context(), []byte(pw))
	noError(tb, err)
	return phc
}

func noError(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

package carrier_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/carrier"
	"github.com/art32/art32/tenancy/sqlite"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// newKeys makes a keystore; the function closes it.
func newKeys(tb testing.TB) (keys *keyring.Ring, down func()) {
	tb.Helper()
	dir := tb.TempDir()
	path := filepath.Join(dir, "root.key")
	must(tb, keyring.CreateKeyFile(path))
	root, err := keyring.KeyFile(path)
	must(tb, err)
	store, err := sqlite.OpenKeystore(tb.Context(), filepath.Join(dir, "keys"))
	must(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	keys, err = keyring.New(root, store, &keyring.Options{TTL: time.Nanosecond})
	must(tb, err)
	return keys, func() { _ = store.Close() }
}

func newCarrier(tb testing.TB, keys *keyring.Ring, purpose string) *carrier.Carrier {
	tb.Helper()
	c, err := carrier.New(keys, purpose, nil)
	must(tb, err)
	return c
}

func TestCarrier(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	keys, _ := newKeys(t)
	c := newCarrier(t, keys, "queue/mail")
	tenant, person := tenancy.NewID(), tenancy.Person(uuid.New())
	full := tenancy.WithReason(tenancy.WithSession(tenancy.WithActor(tenancy.WithTenant(t.Context(), tenant), person), "s-1"), "Anfrage von Jürgen")
	for name, from := range map[string]context.Context{
		"all":         full,
		"bare":        tenancy.WithTenant(t.Context(), tenant),
		"service":     tenancy.WithActor(tenancy.WithTenant(t.Context(), tenant), tenancy.MustService("import/csv")),
		"for another": tenancy.WithActor(tenancy.WithTenant(t.Context(), tenant), tenancy.MustService("import/csv").For(person)),
		"system":      tenancy.WithActor(tenancy.WithTenant(t.Context(), tenant), tenancy.MustSystem("retention")),
	} {
		text, err := c.Seal(from, time.Hour)
		must(t, err)
		shown, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "a32c1."))
		must(t, err)
		for _, secret := range []string{tenant.String(), "person:", "Jürgen"} {
			if strings.Contains(string(shown), secret) {
				t.Errorf("%s: the text shows %q", name, secret)
			}
		}
		busy := tenancy.WithReason(tenancy.WithActor(t.Context(), tenancy.MustService("worker")), "its own")
		ctx, err := c.Open(busy, text)
		must(t, err)
		id, err := tenancy.TenantFrom(ctx)
		must(t, err)
		actor, _ := tenancy.ActorFrom(ctx)
		was, _ := tenancy.ActorFrom(from)
		if id != tenant || actor != was || tenancy.SessionFrom(ctx) != tenancy.SessionFrom(from) || tenancy.ReasonFrom(ctx) != tenancy.ReasonFrom(from) {
			t.Errorf("%s: opened as %v, %v, %q, %q", name, id, actor, tenancy.SessionFrom(ctx), tenancy.ReasonFrom(ctx))
		}
	}
}

func TestRefused(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	keys, _ := newKeys(t)
	others, _ := newKeys(t)
	c := newCarrier(t, keys, "queue/mail")
	ctx := tenancy.WithTenant(t.Context(), tenancy.NewID())
	text, err := c.Seal(ctx, time.Hour)
	must(t, err)
	refused := func(name string, c *carrier.Carrier, text string) {
		t.Helper()
		if got, err := c.Open(t.Context(), text); got != nil || !errors.Is(err, carrier.ErrRefused) || err.Error() != carrier.ErrRefused.Error() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	refused("another purpose", newCarrier(t, keys, "queue/mails"), text)
	refused("another keystore", newCarrier(t, others, "queue/mail"), text)
	for i := range text {
		changed := []byte(text)
		changed[i]++
		refused("changed", c, string(changed))
		refused("cut off", c, text[:i])
	}
	for _, s := range []string{"", "a32c1.", "a32c2." + text[6:], text + "A", text + "=", text + "\n", " " + text, text + text, "a32c1." + strings.Repeat("A", 1<<15), "\x00"} {
		refused("no text", c, s)
	}
	short, err := c.Seal(ctx, time.Millisecond)
	must(t, err)
	for start := time.Now(); err == nil && time.Since(start) < time.Minute; {
		_, err = c.Open(t.Context(), short)
	}
	refused("expired", c, short)
	if _, err := c.Open(tenancy.WithTenant(t.Context(), tenancy.NewID()), text); !errors.Is(err, tenancy.ErrOtherTenant) {
		t.Errorf("in a context of another tenant: %v", err)
	}
}

func TestNotSealed(t *testing.T) {
	t.Parallel()
	keys, down := newKeys(t)
	c := newCarrier(t, keys, "queue/mail")
	ctx := tenancy.WithTenant(t.Context(), tenancy.NewID())
	if _, err := c.Seal(t.Context(), time.Hour); !errors.Is(err, tenancy.ErrNoTenant) {
		t.Errorf("without a tenant: %v", err)
	}
	for _, life := range []time.Duration{0, -1, carrier.MaxLife + 1} {
		if _, err := c.Seal(ctx, life); err == nil {
			t.Errorf("sealed for %v", life)
		}
	}
	if _, err := c.Seal(tenancy.WithReason(ctx, strings.Repeat("x", 20_000)), time.Hour); err == nil {
		t.Error("sealed a huge reason")
	}
	for _, purpose := range []string{"", "Mail", "-a", "a b", strings.Repeat("a", 101)} {
		if _, err := carrier.New(keys, purpose, nil); err == nil {
			t.Errorf("purpose %q", purpose)
		}
	}
	if _, err := carrier.New(nil, "a", nil); err == nil {
		t.Error("no keys")
	}
	text, err := c.Seal(ctx, time.Hour)
	must(t, err)
	down()
	if _, err := c.Open(t.Context(), text); err == nil || errors.Is(err, carrier.ErrRefused) {
		t.Errorf("keystore down: %v", err)
	}
	if _, err := c.Seal(ctx, time.Hour); err == nil {
		t.Error("sealed while the keystore is down")
	}
}

// TestGolden: texts of every released format open for ever.
func TestGolden(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "carrier-v1.json"))
	must(t, err)
	var vectors []struct {
		Key, Purpose, Text string
		Content            json.RawMessage
	}
	must(t, json.Unmarshal(data, &vectors))
	if len(vectors) < 2 {
		t.Fatal("no vectors")
	}
	for _, v := range vectors {
		key, err := hex.DecodeString(v.Key)
		must(t, err)
		got, err := carrier.Unseal(key, v.Purpose, v.Text)
		must(t, err)
		var want bytes.Buffer
		must(t, json.Compact(&want, v.Content))
		if got != want.String() {
			t.Errorf("got %s\nwant %s", got, want.String())
		}
	}
}

package keyring_test

import (
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/promise"
	"github.com/google/uuid"
)

// BenchmarkCiphers reads keys in bulk with a cold cache: from the keystore to
// ciphers that are ready.
func BenchmarkCiphers(b *testing.B) {
	ctx, root := b.Context(), newRoot(b)
	store := keyring.SQLStore(openSQLite(b), migrate.SQLite)
	setup := newRing(b, root, store, nil)
	noError(b, setup.CreateTenant(ctx, acme))
	people := subjects(10_000)
	value(setup.CreateCiphers(ctx, acme, people))(b)
	b.Run("sqlite", func(b *testing.B) { measure(b, root, store, people, "sqlite") })

	records := make(memory)
	for _, p := range people {
		name := "subject/" + p.String()
		records[name] = value(store.Get(ctx, acme, []string{name}))(b)[0]
	}
	records["tenant"] = value(store.Get(ctx, acme, []string{"tenant"}))(b)[0]
	b.Run("unwrap", func(b *testing.B) { measure(b, root, records, people, "unwrap") })
}

func measure(b *testing.B, root keyring.Wrapper, store keyring.Store, people []uuid.UUID, name string) {
	b.Helper()
	for b.Loop() {
		cold := newRing(b, root, store, nil)
		if got := value(cold.Ciphers(b.Context(), acme, people))(b); len(got) != len(people) {
			b.Fatal(len(got))
		}
	}
	perSecond := float64(len(people)*b.N) / b.Elapsed().Seconds()
	promise.Report(b, "crypto/keyring-bulk-"+name, "keys/s", perSecond, promise.AtLeast(100_000))
}

// BenchmarkCipher is the hot path: one warm key.
func BenchmarkCipher(b *testing.B) {
	ctx := b.Context()
	r := newRing(b, newRoot(b), keyring.SQLStore(openSQLite(b), migrate.SQLite), nil)
	noError(b, r.CreateTenant(ctx, acme))
	person := uuid.New()
	value(r.CreateCipher(ctx, acme, person))(b)
	allocs := testing.AllocsPerRun(100, func() { _, _ = r.Cipher(ctx, acme, person) })
	for b.Loop() {
		if _, err := r.Cipher(ctx, acme, person); err != nil {
			b.Fatal(err)
		}
	}
	promise.Report(b, "crypto/keyring-warm-allocations", "allocs", allocs, promise.AtMost(0))
}

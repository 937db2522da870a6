package keyring_test

import (
	"database/sql"
	"testing"
	"time"

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

	records := remembered(b, store, people)
	b.Run("unwrap", func(b *testing.B) { measure(b, root, records, people, "unwrap") })

	value(newRing(b, root, store, quick).Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(b)
	b.Run("two-versions-sqlite", func(b *testing.B) { measure(b, root, store, people, "two-versions-sqlite") })
	records = remembered(b, store, people)
	b.Run("two-versions-unwrap", func(b *testing.B) { measure(b, root, records, people, "two-versions-unwrap") })
}

// remembered is what the keystore holds, at no cost to read.
func remembered(b *testing.B, store keyring.Store, people []uuid.UUID) memory {
	b.Helper()
	names := []string{"tenant"}
	for _, p := range people {
		names = append(names, "subject/"+p.String())
	}
	out := make(memory)
	for _, rec := range value(store.Get(b.Context(), acme, names))(b) {
		out[rec.Name] = append(out[rec.Name], rec)
	}
	return out
}

// BenchmarkRewrap wraps the keys of a tenant anew under another KEK.
func BenchmarkRewrap(b *testing.B) {
	const keys = 10_000
	for name, open := range map[string]func(testing.TB) *sql.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		b.Run(name, func(b *testing.B) {
			store := keyring.SQLStore(open(b), map[string]migrate.Dialect{"sqlite": migrate.SQLite, "postgres": migrate.Postgres}[name])
			r := newRing(b, newRoot(b), store, quick)
			noError(b, r.CreateTenant(b.Context(), acme))
			value(r.CreateCiphers(b.Context(), acme, subjects(keys)))(b)
			for b.Loop() {
				got := value(r.Rotate(b.Context(), acme, keyring.KEK, time.Now(), nil))(b)
				if got.Rewrapped != keys+2 || got.Left != 0 {
					b.Fatalf("%+v", got)
				}
			}
			perSecond := float64(keys*b.N) / b.Elapsed().Seconds()
			promise.Report(b, "crypto/keyring-rewrap-"+name, "keys/s", perSecond, promise.AtLeast(5000))
		})
	}
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

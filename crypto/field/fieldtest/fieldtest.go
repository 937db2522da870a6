package fieldtest

import (
	"context"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// Cipher is what the cases try: a [*field.Cipher], or what stands in for it, with
// the contract of its methods.
type Cipher interface {
	// Seal appends the ciphertext of plaintext, bound to s, to dst. It returns
	// [field.ErrScope] where a part of s is missing.
	Seal(dst, plaintext []byte, s field.Scope) ([]byte, error)
	// Open appends the plaintext to dst, or returns [field.ErrOpen] and nil.
	Open(dst, ciphertext []byte, s field.Scope) ([]byte, error)
}

// New makes a cipher of a key of [field.KeySize] bytes, which it must not keep,
// and the key's version.
type New func(version uint32, key []byte) (Cipher, error)

// Case is one promise of a [Cipher].
type Case struct {
	// Name names the test.
	Name string
	// Measure is the clause that the promise carries.
	Measure string
	// Explanation says what goes wrong where the promise is broken.
	Explanation string
	// Check returns what is wrong with the ciphers that n makes, or nil.
	Check func(ctx context.Context, n New) error
}

// Run runs each case as a test.
func Run(t *testing.T, n New) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), n); err != nil {
				t.Errorf("%v\n%s", err, c.Explanation)
			}
		})
	}
}

// Cases are the promises of [field.Cipher].
func Cases() []Case {
	const measure = "TOM-7.2"
	return []Case{
		{"round trip", measure, "What was sealed must come back, whatever its length and content.", check((*trial).roundTrip)},
		{"nothing in clear", measure, "Whoever reads the table must not read the content.", check((*trial).nothingInClear)},
		{"random", measure, "Equal contents must not give equal ciphertexts, or the table shows who has what in common.", check((*trial).random)},
		{"length", measure, "A length that depends on more than the length of the content tells of the content.", check((*trial).length)},
		{"tenant", measure, "What was copied into the rows of another tenant must not open there.", moved(func(s *field.Scope) { s.Tenant = "other" })},
		{"table", measure, "What was copied into another table must not open there.", moved(func(s *field.Scope) { s.Table = "other" })},
		{"column", measure, "What was copied into another column must not open there: a note would be shown as a name.", moved(func(s *field.Scope) { s.Column = "other" })},
		{"row", measure, "What was copied into another row must not open there: one would read another's data as one's own.", moved(func(s *field.Scope) { s.Row = "other" })},
		{"parts", measure, "Two scopes must not meet because their parts are the same when written one behind the other.", check((*trial).parts)},
		{"scope complete", measure, "What is bound to less than its place can be moved.", check((*trial).scopeComplete)},
		{"key", measure, "Nothing may open without each bit of its key.", check((*trial).key)},
		{"version", measure, "A ciphertext must not pass for one of another version of the key.", check((*trial).version)},
		{"truncated", measure, "What was cut must not open: part of a value is another value.", check((*trial).truncated)},
		{"extended", measure, "What has anything added must not open.", check((*trial).extended)},
		{"flipped bits", measure, "What was changed in a single bit must not open.", check((*trial).flipped)},
		{"garbage", measure, "What is no ciphertext must be refused and not crash.", check((*trial).garbage)},
		{"one error", measure, "An error that tells causes apart is of use to whoever probes.", check((*trial).oneError)},
		{"nothing on failure", measure, "What does not open must not leave its content where the caller may find it.", check((*trial).nothingOnFailure)},
		{"dst", measure, "What was in the caller's buffer must stay, and the result stand behind it.", check((*trial).dst)},
		{"arguments", measure, "The caller's slices are the caller's: they must not be changed, nor kept.", check((*trial).arguments)},
		{"concurrency", measure, "Ciphers are shared by requests: one must not get what belongs to another.", check((*trial).concurrency)},
	}
}

// Package fieldtest helps to test what encrypts fields, and what finds them.
//
// It serves the evidence for TOM-7.2. A test of a cipher that stands in for
// [field.Cipher] calls [Run]; [Cases] are the same checks as data. A test of a
// declaration calls [CheckIndexes] for each plaintext that has blind indexes:
//
//	email, err := field.NewIndex(key, "customers.email", field.Email, 100_000)
//	…
//	fieldtest.CheckIndexes(t, 100_000, email, emailPrefix)
//
// Who writes a second implementation of the formats finds test vectors in the
// source of package field, below testdata, as plain JSON: what must open and what
// must be refused.
//
// # Guarantees
//
// Each case fails for at least one cipher that is broken on purpose, and each
// such cipher fails a case: the package's own tests show it.
//
// # Not covered
//
// What no test from outside can show: that keys stay secret, that nonces are
// random beyond not being equal, that comparisons take constant time, that a
// ciphertext commits to its key.
//
// # Compatibility
//
// The API may change before version 1; later versions may bring more cases.
package fieldtest

// Package art32 is the index of a library that turns the technical and
// organisational measures of Art. 32 GDPR into importable Go packages. It
// holds no code: import the package of the measure you need.
//
//	measure                                   package
//	encryption of data and backups (7.2)      crypto/keyring, crypto/field
//	separation of tenants (8.1)               tenancy, tenancy/postgres, tenancy/sqlite
//	logging of changes and access (5.1, 3.3)  audit
//
// The ids are those of the clauses in the vendor's annex of measures; see the
// README for the clauses and the tests that prove them.
package art32

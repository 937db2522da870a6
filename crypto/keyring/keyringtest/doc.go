// Package keyringtest judges the two seams of package keyring (TOM-7.2): the
// root, a [keyring.Wrapper], and the keystore, a [keyring.Store]. Its [KMS] is a
// key management service with a Wrapper that shows how to write one.
//
// Run [RunWrapper] over a root of your own, and [RunStore] over a keystore of
// your own. Give [NewKMS] to tests of what must go on while a service throttles,
// hangs or fails.
//
// # Guarantees
//
// Each of [WrapperCases] and [StoreCases] fails for at least one root or
// keystore that is broken on purpose.
//
// # Not covered
//
// How strong the encryption behind a root is; whether bytes of a destroyed key
// remain in the files of a keystore. KMS keeps its keys in memory: it is no
// service to run.
//
// # Compatibility
//
// The API may change before version 1. Cases may be added.
package keyringtest

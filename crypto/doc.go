// Package crypto holds the encryption that a vendor owes its customers: keys
// that can be destroyed and fields that cannot be moved (TOM-4, TOM-7.2; Art.
// 32(1)(a) and Art. 17 GDPR). It has no code of its own:
//
//   - crypto/keyring creates, wraps, hands out and destroys the keys: root,
//     tenant, data subject.
//   - crypto/field encrypts single fields and attachments with them, bound to
//     tenant, table, column and row, and finds fields again by blind index.
package crypto

// Package crypto compares the encryption of fields with other libraries.
package crypto

// Package pglogin makes passwords of PostgreSQL logins, of which the server is
// never sent more than what it keeps, and judges whether a login may travel.
package pglogin

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
)

// New draws a password. login is dsn, a postgres:// URL, with it and the user;
// verifier is what ALTER ROLE … PASSWORD takes.
func New(dsn, user string) (login, verifier string, err error) {
	password := rand.Text()
	if verifier, err = scram(password); err != nil {
		return "", "", err
	}
	login, err = withUser(dsn, user, password)
	return login, verifier, err
}

// scram is what the server keeps of a password (RFC 5803), so that the password
// itself is neither sent nor logged. 128 random bits need no more rounds.
func scram(password string) (string, error) {
	const rounds = 4096
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored, b64 := sha256.Sum256(mac("Client Key")), base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

// withUser is the DSN of another login to the same database.
func withUser(dsn, user, password string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("owner's DSN must be a postgres:// URL")
	}
	q := u.Query()
	q.Del("user")
	q.Del("password")
	u.RawQuery, u.User = q.Encode(), url.UserPassword(user, password)
	return u.String(), nil
}

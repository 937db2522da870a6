package session

import (
	"net/http"
	"strings"
)

// CookieName is the name of the cookie. Its prefix makes browsers refuse it from
// another host of the domain, for a part of the site, or without TLS (RFC 6265bis).
const CookieName = "__Host-session"

// carried reads the token that a request carries. Of a cookie that comes twice,
// or that no login can have set, no part is believed; the store is not asked.
func carried(h http.Header) (token, verdict) {
	var value string
	count := 0
	for _, line := range h["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			name, v, _ := strings.Cut(part, "=")
			if strings.TrimSpace(name) == CookieName {
				value = strings.TrimSpace(v)
				count++
			}
		}
	}
	if count == 0 {
		return token{}, none
	}
	t, ok := parseToken(value)
	if !ok || count > 1 {
		return token{}, unknown
	}
	return t, valid
}

// setCookie hands a token to the browser, for as long as that is open.
func (m *Manager) setCookie(w http.ResponseWriter, t token) {
	m.replaceCookie(w, t.reveal(), 0)
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
}

// clearCookie takes the cookie away.
func (m *Manager) clearCookie(w http.ResponseWriter) { m.replaceCookie(w, "", -1) }

// replaceCookie sets the cookie in place of what was set before in this response.
func (m *Manager) replaceCookie(w http.ResponseWriter, value string, maxAge int) {
	c := http.Cookie{ //nolint:gosec // SameSite is Lax or Strict: configure refuses others
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: m.sameSite,
	}
	var others []string
	for _, line := range w.Header()["Set-Cookie"] {
		if !strings.HasPrefix(line, CookieName+"=") {
			others = append(others, line)
		}
	}
	w.Header()["Set-Cookie"] = append(others, c.String())
}

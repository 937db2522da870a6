package session

import (
	"iter"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// CookieName is the name of the cookie. Its prefix makes browsers refuse it from
// another host of the domain, for a part of the site, or without TLS (RFC 6265bis).
const CookieName = "__Host-session"

// maxCarried is how many tokens of one request Login and Logout end. A browser
// sends one.
const maxCarried = 8

// values gives what a request carries under the cookie's name. Blank is what HTTP
// takes for it: a browser keeps a name that begins with another blank of Unicode
// apart from ours, and lets any host of the domain set it.
func values(h http.Header) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h["Cookie"] {
			for part := range strings.SplitSeq(line, ";") {
				name, v, _ := strings.Cut(part, "=")
				if textproto.TrimString(name) == CookieName && !yield(textproto.TrimString(v)) {
					return
				}
			}
		}
	}
}

// carried reads the token that a request carries. Of a cookie that comes twice,
// or that no login can have set, no part is believed; the store is not asked.
func carried(h http.Header) (token, verdict) {
	var value string
	count := 0
	for v := range values(h) {
		value = v
		count++
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

// tokens gives each token that a request carries, also of a cookie that comes
// more than once, and the one that its response hands out already: what is to be
// ended need not be believed.
func tokens(request, response http.Header) (all []token) {
	add := func(value string) {
		if t, ok := parseToken(value); ok && len(all) < maxCarried && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	for _, line := range response["Set-Cookie"] {
		if v, ok := strings.CutPrefix(line, CookieName+"="); ok {
			v, _, _ = strings.Cut(v, ";")
			add(v)
		}
	}
	for v := range values(request) {
		add(v)
	}
	return all
}

// setCookie hands a token to the browser, for as long as that is open.
func (m *Manager) setCookie(w http.ResponseWriter, t token) { m.replaceCookie(w, t.reveal(), 0) }

// clearCookie takes the cookie away.
func (m *Manager) clearCookie(w http.ResponseWriter) { m.replaceCookie(w, "", -1) }

// replaceCookie sets the cookie in place of what was set before in this response,
// which no cache may keep: it would log others in or out.
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
	w.Header().Set("Cache-Control", "no-store")
}

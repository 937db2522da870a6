package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/art32/art32/session"
)

// spellings are the ways in which a token or its hash could show.
func spellings(token string, h session.Hash) []string {
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	var all []string
	for _, b := range [][]byte{raw, h[:]} {
		all = append(all, string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
			base64.RawURLEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b),
			fmt.Sprint(b), strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"), strings.Trim(fmt.Sprint(b), "[]"))
	}
	return all
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	token, text, hash := session.Token()
	type holder struct {
		Token any
		Hash  session.Hash
	}
	h := holder{token, hash}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%c", "%o", "%t", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, token, hash, h, &h)
	}
	fmt.Fprint(&out, token, hash, session.Row{Hash: hash}, errors.New(fmt.Sprint(hash)))
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("x", "token", token, "hash", hash, "both", h)
	}
	for _, v := range []any{token, hash, h, map[session.Hash]int{hash: 1}} {
		b, err := json.Marshal(v)
		must(t, err)
		out.Write(b)
	}
	for _, canary := range spellings(text, hash) {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%q stands in:\n%s", canary, out.String())
		}
	}
	if n := strings.Count(out.String(), "[redacted]"); n < 50 {
		t.Errorf("%d marks in:\n%s", n, out.String())
	}
	gs, _ := token.(fmt.GoStringer)
	st, _ := token.(fmt.Stringer)
	if got := gs.GoString() + st.String() + hash.String() + hash.GoString(); got != strings.Repeat("[redacted]", 4) {
		t.Errorf("got %s", got)
	}
}

// TestTokensDiffer shows length and uniqueness (ASVS 7.2.3).
func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 10_000 {
		_, text, _ := session.Token()
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(raw) != 32 || seen[text] {
			t.Fatalf("token of %d bytes, seen: %v", len(raw), seen[text])
		}
		seen[text] = true
	}
}

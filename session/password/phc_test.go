package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/art32/art32/session/password"
)

const (
	salt16 = "AAECAwQFBgcICQoLDA0ODw"
	hash32 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	sound  = "$argon2id$v=19$m=19456,t=2,p=1$" + salt16 + "$" + hash32
)

// bytesOf is the base64 of n zero bytes.
func bytesOf(n int) string { return strings.Repeat("A", (n*8+5)/6) }

// TestStoredTexts refuses what a hostile or damaged row may hold. Those that ask
// for terabytes or years pass in no time only if nothing is computed for them.
func TestStoredTexts(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, nil)
	for name, phc := range map[string]string{
		"nothing":              "",
		"another function":     "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i":              strings.Replace(sound, "argon2id", "argon2i", 1),
		"no version":           strings.Replace(sound, "v=19$", "", 1),
		"version 16":           strings.Replace(sound, "v=19", "v=16", 1),
		"text before":          "x" + sound,
		"text after":           sound + "$x",
		"a blank":              sound + " ",
		"a line break":         sound + "\n",
		"a break within":       strings.Replace(sound, salt16, salt16[:4]+"\n"+salt16[4:], 1),
		"padding":              sound + "=",
		"loose last bits":      sound[:len(sound)-1] + "9",
		"URL alphabet":         strings.Replace(sound, "AAEC", "-_EC", 1),
		"parameters swapped":   strings.Replace(sound, "m=19456,t=2", "t=2,m=19456", 1),
		"a fourth parameter":   strings.Replace(sound, "p=1", "p=1,keyid=AAAA", 1),
		"a missing one":        strings.Replace(sound, ",p=1", "", 1),
		"a leading zero":       strings.Replace(sound, "t=2", "t=02", 1),
		"a sign":               strings.Replace(sound, "t=2", "t=+2", 1),
		"no digits":            strings.Replace(sound, "t=2", "t=", 1),
		"more than 32 bits":    strings.Replace(sound, "t=2", "t=4294967298", 1),
		"no pass":              strings.Replace(sound, "t=2", "t=0", 1),
		"no lane":              strings.Replace(sound, "p=1", "p=0", 1),
		"256 lanes":            strings.Replace(sound, "p=1", "p=256", 1),
		"memory below 8 KiB":   strings.Replace(sound, "m=19456", "m=7", 1),
		"memory below lanes":   strings.Replace(sound, "m=19456,t=2,p=1", "m=63,t=2,p=8", 1),
		"4 TiB":                strings.Replace(sound, "m=19456", "m=4294967295", 1),
		"one KiB over budget":  strings.Replace(sound, "m=19456", "m=262145", 1),
		"4 billion passes":     strings.Replace(sound, "t=2", "t=4294967295", 1),
		"one pass too many":    strings.Replace(sound, "m=19456,t=2", "m=65536,t=17", 1),
		"no salt":              strings.Replace(sound, salt16, "", 1),
		"a salt of 7":          strings.Replace(sound, salt16, bytesOf(7), 1),
		"a salt of 65":         strings.Replace(sound, salt16, bytesOf(65), 1),
		"no hash":              strings.Replace(sound, hash32, "", 1),
		"a hash of 15":         strings.Replace(sound, hash32, bytesOf(15), 1),
		"a hash of 65":         strings.Replace(sound, hash32, bytesOf(65), 1),
		"a megabyte":           strings.Replace(sound, salt16, bytesOf(1<<20), 1),
		"a megabyte of parts":  strings.Repeat("$", 1<<20),
		"the marker of fields": "[encrypted]",
	} {
		if err := h.Usable(phc); !errors.Is(err, password.ErrHash) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := h.Gate().Free(); got != 256<<20 {
		t.Errorf("%d bytes are left of the budget", got)
	}
}

// TestBoundsAreWithin shows that the bounds themselves are served.
func TestBoundsAreWithin(t *testing.T) {
	t.Parallel()
	for _, phc := range []string{
		sound,
		strings.Replace(sound, "m=19456", "m=8", 1),
		strings.Replace(sound, "m=19456,t=2,p=1", "m=64,t=1,p=8", 1),
		strings.Replace(sound, "m=19456,t=2,p=1", "m=262144,t=4,p=255", 1),
		strings.Replace(sound, salt16, bytesOf(8), 1),
		strings.Replace(sound, salt16, bytesOf(64), 1),
		strings.Replace(sound, hash32, bytesOf(16)[:21]+"A", 1),
		strings.Replace(sound, hash32, bytesOf(64), 1),
	} {
		if got, err := password.Canonical(phc); got != phc || err != nil {
			t.Errorf("%s: %s, %v", phc, got, err)
		}
	}
}

// FuzzStored: a text is refused, or is the one form of what it says.
func FuzzStored(f *testing.F) {
	for _, seed := range []string{
		sound, "", "$$$$$", strings.Replace(sound, "p=1", "p=256", 1), strings.Replace(sound, "m=19456", "m=4294967295", 1),
		strings.Replace(sound, "t=2", "t=02", 1), sound + "=", sound[:len(sound)-1] + "9", sound + "\r\n",
		"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHApl8ArZWb2GRPPc",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := password.Canonical(text)
		if err == nil && got != text {
			t.Errorf("%q reads as %q", text, got)
		}
	})
}

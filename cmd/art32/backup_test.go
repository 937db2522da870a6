package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/art32/art32/backup"
)

// TestAge shows that a backup of more than a week is a finding.
func TestAge(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	for age, ok := range map[time.Duration]bool{-time.Minute: true, -time.Hour: false, -3 * 365 * 24 * time.Hour: false, time.Hour: true, 6 * 24 * time.Hour: true, 7*24*time.Hour + time.Minute: false} {
		d := &doctor{}
		d.age(&backup.Manifest{Run: "x", Ended: time.Now().Add(-age)})
		if d.checks[0].OK != ok || strings.Contains(fmt.Sprint(d.checks[0]), " -") {
			t.Errorf("%v: %+v", age, d.checks[0])
		}
	}
}

func TestReadSigner(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(file, []byte("art32-backup ssh-ed25519 AAAA comment\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"": "", "-": "-", "ssh-ed25519 AAAA": "ssh-ed25519 AAAA", "ssh-ed25519 AAAA me@here": "ssh-ed25519 AAAA", file: "ssh-ed25519 AAAA",
	} {
		if got, err := readSigner(given); err != nil || got != want {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
	for _, given := range []string{"ssh-ed25519 ", file + "x", os.DevNull, "AGE-SECRET-KEY-1X", " age-secret-key-pq-1x"} {
		if _, err := readSigner(given); err == nil {
			t.Errorf("%q is a signer", given)
		} else if given != "ssh-ed25519 " && strings.Contains(err.Error(), given) {
			t.Errorf("the error quotes what was given: %v", err)
		}
	}
}

// TestListing shows what somebody signed who can write the target as it stands
// there: it writes over no screen, and looks like no other run.
func TestListing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	const odd = "a\x1b[2J\u009bb\u202e\ncommitted   forged\r"
	runs := []backup.Run{
		{Name: "x", Manifest: &backup.Manifest{Run: "x", Number: 1, Engine: odd, Signer: odd}},
		{Name: "y", Err: errors.New(odd)},
	}
	for _, r := range runs {
		one, err := new(backupList).listing(r)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		one.print(&output{w: &b})
		text := strings.TrimSuffix(b.String(), "\n")
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || !strings.Contains(text, `\x1b`) {
			t.Errorf("%q", text)
		}
	}
	var b strings.Builder
	(&output{w: &b}).textf("one\n  two: %s", "Köln\x1b[2J")
	if want := "one\n  two: Köln\\x1b[2J\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestReadRecipients(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(file, []byte("# operator\nage1a\n\nage1b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readRecipients([]string{"age1c", file})
	if err != nil || strings.Join(got, " ") != "age1c age1a age1b" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 29: "2.5 GiB", 3 << 50: "3072.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestDifference compares the folders of a vault.
func TestDifference(t *testing.T) {
	t.Parallel()
	one, two := [32]byte{1}, [32]byte{2}
	for _, test := range []struct {
		a, b map[string][32]byte
		want string
	}{
		{map[string][32]byte{"x": one}, map[string][32]byte{"x": one}, ""},
		{map[string][32]byte{"x": one}, map[string][32]byte{"x": two}, "x"},
		{map[string][32]byte{"x": one, "y": one}, map[string][32]byte{"x": one}, "y"},
		{map[string][32]byte{}, map[string][32]byte{"z": {}}, "z"},
	} {
		if got, differ := difference(test.a, test.b); got != test.want || differ != (test.want != "") {
			t.Errorf("%v and %v: %q, %v", test.a, test.b, got, differ)
		}
	}
}

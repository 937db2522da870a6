package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/internal/dbtest"
)

func tell(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out)
	return out.String(), err
}

func TestStory(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "data")
		for range 2 { // the second time on the files of the first
			toldWhole(t, "-data", dir)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		toldWhole(t, "-dsn", dbtest.Postgres(t))
	})
}

func toldWhole(t *testing.T, args ...string) {
	t.Helper()
	out, err := tell(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"GET /customers: 401", "9. One person is erased", "10. The erasure has a signed record", "its signature holds", "none found", "verified without any key",
		"1 erasure repeated", "the erased person there: field: erased", "one notice", "All steps held",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the story lacks %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "✓"); n < 49 {
		t.Errorf("%d pieces of evidence, want 49 or more", n)
	}
}

// People copy main.go: it must stay short.
func TestMainIsShort(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n > 150 {
		t.Errorf("main.go has %d lines, more than 150", n)
	}
}

const head = "name,email,phone,iban,city,plan,note\n"

func TestBadCSV(t *testing.T) {
	t.Parallel()
	const canary = "Kanarienvogel"
	tests := []struct {
		name, text, want string
	}{
		{"no header", canary + ",b,c,d,e,f,g\n", "first line"},
		{"empty", "", "person of the story"},
		{"too few columns", head + canary + ",x\n", "line 2"},
		{"open quote", head + "\"" + canary + ",b,c,d,e,f,g\n", "line 2"},
		{"bare quote", head + "a\"" + canary + ",b,c,d,e,f,g\n", "line 2"},
		{"huge value", head + strings.Repeat(canary, 1000) + ",b,c,d,e,f,g\n", "column name is longer"},
		{"huge file", head + strings.Repeat(canary+",b,c,d,e,f,g\n", 700_000), "larger than"},
		{"invalid UTF-8", head + canary + "\xff,b,c,d,e,f,g\n", "column name is not valid UTF-8"},
		{"NUL", head + "a,b,c,d," + canary + "\x00,f,g\n", "column city holds NUL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
			for _, f := range []string{"nordlicht.csv", "suedwind.csv"} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := tell(t, "-csv", dir, "-data", data)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error()+out, canary) {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

// damage is what happens to the files between two runs.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string) error
		want   string
	}{
		{"other root key", func(t *testing.T, dir string) error {
			t.Helper()
			if _, err := tell(t, "-data", filepath.Join(dir, "other")); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "other", "root.key"), filepath.Join(dir, "root.key"))
		}, "root key does not open"},
		{"loose root key", func(_ *testing.T, dir string) error {
			return os.Chmod(filepath.Join(dir, "root.key"), 0o644)
		}, "0600"},
		{"keystore missing", func(_ *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, "keystore.db"))
		}, "keystore.db is missing or empty"},
		{"platform file truncated", func(_ *testing.T, dir string) error {
			return os.Truncate(filepath.Join(dir, "platform.db"), 5000)
		}, "platform.db"},
		{"platform file flipped", func(_ *testing.T, dir string) error {
			return flip(filepath.Join(dir, "platform.db"))
		}, "platform.db"},
		{"keystore flipped", func(_ *testing.T, dir string) error {
			return flip(filepath.Join(dir, "keystore.db"))
		}, "keystore"},
		{"folder is a file", func(_ *testing.T, dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.WriteFile(dir, nil, 0o600)
		}, "data"},
	}
	for _, tt := range tests {
		t.Run("sqlite/"+tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			toldWhole(t, "-data", dir)
			if err := tt.damage(t, dir); err != nil {
				t.Fatal(err)
			}
			_, err := tell(t, "-data", dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// flip inverts the bytes of the first page behind the file's signature.
func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := 16; i < 4096; i++ {
		b[i] = ^b[i]
	}
	return os.WriteFile(path, b, 0o600)
}

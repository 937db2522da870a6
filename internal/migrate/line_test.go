package migrate_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/art32/art32/internal/migrate"
)

// files makes a file system of path → text.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		line migrate.Line
		want string // part of the error, or the names
		fail bool
	}{
		{"sorted", migrate.Line{Name: "a", FS: files("sqlite/0002_b.sql", "x", "sqlite/0001_a.sql", "y", "sqlite/README.md", "z")}, "0001_a.sql 0002_b.sql", false},
		{"at the root", migrate.Line{Name: "app", FS: files("0001_a.sql", "y")}, "0001_a.sql", false},
		{"gap", migrate.Line{Name: "a", FS: files("sqlite/0001_a.sql", "", "sqlite/0003_c.sql", "")}, "0003_c.sql stands where number 0002", true},
		{"begins at two", migrate.Line{Name: "a", FS: files("sqlite/0002_b.sql", "")}, "number 0001 is due", true},
		{"doubled", migrate.Line{Name: "a", FS: files("sqlite/0001_a.sql", "", "sqlite/0001_b.sql", "")}, "0001_b.sql stands where number 0002", true},
		{"bad name of a file", migrate.Line{Name: "a", FS: files("sqlite/1_a.sql", "")}, `bad name of a file: "1_a.sql"`, true},
		{"upper case", migrate.Line{Name: "a", FS: files("sqlite/0001_A.sql", "")}, "bad name of a file", true},
		{"bad name of the line", migrate.Line{Name: "A b", FS: files("sqlite/0001_a.sql", "")}, "bad name of a line", true},
		{"no name", migrate.Line{FS: files("sqlite/0001_a.sql", "")}, "bad name of a line", true},
		{"no files", migrate.Line{Name: "a", FS: files("postgres/0001_a.sql", "")}, "has no files", true},
		{"no file system", migrate.Line{Name: "a"}, "has no files", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.line.Files(migrate.SQLite)
			if tt.fail {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error = %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for i, f := range got {
				names = append(names, f.Name)
				if f.Version != i+1 || f.Line != tt.line.Name || len(f.Checksum) != 64 {
					t.Errorf("file = %+v", f)
				}
			}
			if s := strings.Join(names, " "); s != tt.want {
				t.Errorf("files = %s, want %s", s, tt.want)
			}
		})
	}
	if _, err := (migrate.Line{Name: "a", FS: files("0001_a.sql", "")}).Files("mysql"); err == nil {
		t.Error("an unknown dialect passes")
	}
}

func TestChecksumIgnoresLineEnds(t *testing.T) {
	t.Parallel()
	sum := func(text string) string {
		got, err := migrate.Line{Name: "a", FS: files("0001_a.sql", text)}.Files(migrate.SQLite)
		if err != nil {
			t.Fatal(err)
		}
		return got[0].Checksum
	}
	if sum("a;\r\nb;\r\n") != sum("a;\nb;\n") {
		t.Error("a checkout with CRLF has another checksum")
	}
	if sum("a;\n") == sum("b;\n") {
		t.Error("two texts have one checksum")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		fsys fstest.MapFS
		ok   bool
	}{
		{"equal", files("postgres/0001_a.sql", "x", "sqlite/0001_a.sql", "y"), true},
		{"other name", files("postgres/0001_a.sql", "", "sqlite/0001_b.sql", ""), false},
		{"one more", files("postgres/0001_a.sql", "", "postgres/0002_b.sql", "", "sqlite/0001_a.sql", ""), false},
		{"one dialect", files("postgres/0001_a.sql", ""), false},
		{"at the root", files("0001_a.sql", ""), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := (migrate.Line{Name: "a", FS: tt.fsys}).Check(); (err == nil) != tt.ok {
				t.Errorf("Check() = %v", err)
			}
		})
	}
}

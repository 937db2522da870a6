package foldernotifier_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/foldernotifier"
	"github.com/art32/art32/incident/incidenttest"
)

func notice() incident.Notice {
	return incident.Notice{
		ID: uuid.New(), Number: 1, Subject: "notice", Text: "Grüße\n", JSON: []byte("{}\n"),
		To: incident.Contact{Name: "A", Mail: "a@example.org"},
	}
}

func open(tb testing.TB, dir string) *foldernotifier.Notifier {
	tb.Helper()
	n, err := foldernotifier.New(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	incidenttest.RunNotifier(t, func(t *testing.T) incidenttest.Fixture {
		dir := filepath.Join(t.TempDir(), "notices")
		return incidenttest.Fixture{
			Notifier: open(t, dir),
			Break: func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			},
			Received: func() (got []incidenttest.Received, err error) {
				names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
				for _, name := range names {
					text, err := os.ReadFile(name)
					if err != nil {
						return nil, err
					}
					id := strings.TrimSuffix(filepath.Base(name), ".txt")
					machine, err := os.ReadFile(filepath.Join(dir, id+".json"))
					if err != nil {
						return nil, err
					}
					got = append(got, incidenttest.Received{ID: uuid.MustParse(id), Text: string(text), JSON: machine})
				}
				return got, err
			},
		}
	})
}

func TestFilesAreOfTheOwnerAlone(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	dir := filepath.Join(t.TempDir(), "a", "notices")
	x := notice()
	if err := open(t, dir).Notify(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode() != 0o600 || !strings.HasPrefix(e.Name(), x.ID.String()+".") {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := foldernotifier.New(dir); !errors.Is(err, foldernotifier.ErrFolder) {
		t.Errorf("mode 0750: %v", err)
	}
	for _, dir := range []string{"", file} {
		if _, err := foldernotifier.New(dir); err == nil {
			t.Errorf("%q is taken for a folder", dir)
		}
	}
	later := filepath.Join(t.TempDir(), "notices")
	n := open(t, later)
	if err := os.Chmod(later, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), notice()); !errors.Is(err, foldernotifier.ErrFolder) {
		t.Errorf("opened to others later: %v", err)
	}
}

// A folder of another user is open to that user, whatever its mode. Only root can
// make one for this test; anybody else sees root's.
func TestFolderOfAnotherUser(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	theirs := "/root"
	if os.Geteuid() == 0 {
		theirs = t.TempDir()
		if err := errors.Join(os.Chmod(theirs, 0o700), os.Chown(theirs, 12345, -1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := foldernotifier.New(theirs); !errors.Is(err, foldernotifier.ErrFolder) && !errors.Is(err, os.ErrPermission) {
		t.Errorf("New() = %v", err)
	}
}

func TestOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "notices")
	n, x := open(t, dir), notice()
	if err := n.Notify(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Text = "canary"
	if err := n.Notify(t.Context(), x); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("Notify() = %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, x.ID.String()+".txt")); err != nil || string(text) != "Grüße\n" {
		t.Errorf("overwritten: %q, %v", text, err)
	}
}

// Many at once leave two files and nothing beside them.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "notices")
	x := notice()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := open(t, dir).Notify(t.Context(), x); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "notices")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	n, err := foldernotifier.New(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := notice()
	if err := n.Notify(context.Background(), x); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(filepath.Join(dir, x.ID.String()+".txt"))
	fmt.Print(string(text))
	fmt.Println(err)
	// Output:
	// Grüße
	// <nil>
}

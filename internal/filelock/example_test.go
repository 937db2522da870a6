package filelock_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/art32/art32/internal/filelock"
)

// The second one is told that somebody else is at work.
func Example() {
	dir, err := os.MkdirTemp("", "filelock")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	first, err := filelock.Try(filepath.Join(dir, "lock"))
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := filelock.Try(filepath.Join(dir, "lock"))
	fmt.Println(second == nil, err)
	fmt.Println(first.Unlock())
	// Output:
	// true <nil>
	// <nil>
}

package stagetest_test

import (
	"fmt"
	"os"

	"github.com/art32/art32/internal/stagetest"
)

func Example() {
	t := stagetest.New()
	dir := t.TempDir()
	t.Cleanup(func() { fmt.Println("closed first") })
	t.Errorf("%d things are wrong", 2)
	t.End()
	_, err := os.Stat(dir)
	fmt.Println("folder removed:", os.IsNotExist(err), t.Context().Err())
	func() {
		defer func() { fmt.Println("ended by:", recover()) }()
		t.Fatal("no database")
	}()
	// Output:
	// 2 things are wrong
	// closed first
	// folder removed: true <nil>
	// ended by: no database
}

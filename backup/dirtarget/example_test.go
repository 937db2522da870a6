package dirtarget_test

import (
	"context"
	"fmt"
	"os"

	"github.com/art32/art32/backup/dirtarget"
)

// An object is there after its commit.
func Example() {
	dir, err := os.MkdirTemp("", "dirtarget")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	target, err := dirtarget.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer target.Close()
	o, err := target.Create(ctx, "run/MANIFEST.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = o.Write([]byte("{}\n"))
	before, _ := target.List(ctx, "run/")
	err = o.Commit(ctx)
	after, _ := target.List(ctx, "run/")
	fmt.Println(before, err, after)
	// Output: [run/MANIFEST.json.part] <nil> [run/MANIFEST.json]
}

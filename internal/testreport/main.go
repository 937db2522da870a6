// Command testreport reads `go test -json` on standard input and prints what a
// person wants to see: the closing line of each package, the output of what
// failed, and the number of tests per engine. Its status is 0 only if tests ran,
// none failed and none was skipped: a skipped test is a promise nobody looked at.
package main

import (
	"fmt"
	"os"
)

func main() {
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.close() {
		os.Exit(1)
	}
}

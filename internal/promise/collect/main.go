// Command collect reads the output of `go test -bench` on standard input and
// prints one line for each promise, in the order of the first appearance and
// with the last figure, and then the sum. A missed promise is not an error; a
// benchmark that fails is, and its output follows on standard error.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

var errFailed = errors.New("a benchmark failed")

func main() {
	if err := collect(os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "collect:", err)
		os.Exit(1)
	}
}

// collect copies the promises from one stream to the other, and everything
// else to rest when something failed.
func collect(from io.Reader, to, rest io.Writer) error {
	var names []string
	var other strings.Builder
	lines, failed := map[string]string{}, false
	scanner := bufio.NewScanner(from)
	for scanner.Scan() {
		line := scanner.Text()
		fields := strings.Fields(line)
		if len(fields) == 5 && fields[0] == "promise" {
			if lines[fields[1]] == "" {
				names = append(names, fields[1])
			}
			lines[fields[1]] = line
			continue
		}
		failed = failed || strings.HasPrefix(strings.TrimLeft(line, "- "), "FAIL")
		other.WriteString(line + "\n")
	}
	met := 0
	for _, name := range names {
		if strings.HasSuffix(lines[name], " met") {
			met++
		}
		fmt.Fprintln(to, lines[name])
	}
	fmt.Fprintf(to, "promises: %d met, %d missed\n", met, len(names)-met)
	if err := scanner.Err(); err != nil || !failed {
		return err
	}
	_, err := io.WriteString(rest, other.String())
	return errors.Join(errFailed, err)
}

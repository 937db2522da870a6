package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action     string  `json:"Action"`
	Package    string  `json:"Package"`
	ImportPath string  `json:"ImportPath"` // instead of Package, when a package is built
	Test       string  `json:"Test"`
	Output     string  `json:"Output"`
	Elapsed    float64 `json:"Elapsed"` // in seconds
}

// engines are the path elements of a test's name that are counted.
var engines = []string{"postgres", "sqlite"}

// test is a test that runs or has run.
type test struct {
	output []string
	result string // pass, fail or skip; empty while it runs
	parent bool
	took   float64 // seconds
}

// report gathers the events of one run. Not safe for concurrent use.
type report struct {
	to       io.Writer
	tests    map[string]map[string]*test // package → name
	packages int
	broken   bool // something failed that is no test, such as a build
}

func newReport(to io.Writer) *report {
	return &report{to: to, tests: map[string]map[string]*test{}}
}

// read takes events until the end. A line that is no event is passed on.
func (r *report) read(from io.Reader) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil || e.Action == "":
			r.print(string(line))
		case e.Test == "":
			r.ofPackage(e)
		default:
			r.ofTest(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ofPackage prints what a package says itself, which ends with its closing line.
func (r *report) ofPackage(e event) {
	switch e.Action {
	case "output", "build-output":
		if e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "-test.shuffle ") {
			r.print(e.Output)
		}
	case "build-fail":
		r.broken = true
	case "fail":
		r.broken = true
		r.packages++
		r.printUnfinished(e.Package)
	case "pass":
		r.packages++
	}
}

func (r *report) ofTest(e event) {
	t := r.test(e.Package, e.Test)
	t.took = e.Elapsed
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
	case "pass":
		t.result, t.output = e.Action, nil
	case "fail", "skip":
		t.result = e.Action
		r.printTest(e.Package, t)
	}
}

// test returns the entry of a test and marks the one above it as a parent. The
// name of a subtest may itself hold slashes.
func (r *report) test(pkg, name string) *test {
	tests := r.tests[pkg]
	if tests == nil {
		tests = map[string]*test{}
		r.tests[pkg] = tests
	}
	if tests[name] != nil {
		return tests[name]
	}
	tests[name] = &test{}
	for i := strings.LastIndexByte(name, '/'); i >= 0; i = strings.LastIndexByte(name[:i], '/') {
		if above := tests[name[:i]]; above != nil {
			above.parent = true
			break
		}
	}
	return tests[name]
}

func (r *report) printTest(pkg string, t *test) {
	r.print("# " + pkg + "\n")
	for _, line := range t.output {
		if !strings.HasPrefix(line, "=== ") {
			r.print(line)
		}
	}
	t.output = nil
}

// printUnfinished prints the tests that were running when the package died.
func (r *report) printUnfinished(pkg string) {
	for _, name := range slices.Sorted(maps.Keys(r.tests[pkg])) {
		if t := r.tests[pkg][name]; t.result == "" {
			t.result = "fail"
			r.printTest(pkg, t)
		}
	}
}

// close prints the sums and reports whether all is well. Only tests without
// subtests count, except that a parent which fails or skips by itself counts.
func (r *report) close() bool {
	results, perEngine := map[string]int{}, map[string]int{}
	for _, tests := range r.tests {
		for name, t := range tests {
			if t.parent && t.result == "pass" {
				continue
			}
			results[t.result]++
			for _, engine := range engines {
				if hasElement(name, engine) {
					perEngine[engine]++
				}
			}
		}
	}
	r.printSlowest()
	failed := results["fail"] + results[""]
	for _, engine := range engines {
		r.print(fmt.Sprintf("%s: %d tests, ", engine, perEngine[engine]))
	}
	r.print(fmt.Sprintf("total: %d passed, %d failed, %d skipped\n", results["pass"], failed, results["skip"]))
	return r.packages > 0 && !r.broken && failed == 0 && results["skip"] == 0
}

// What counts as slow, in seconds, and how many of those are named.
const (
	slow    = 10
	slowest = 20
)

// printSlowest names the tests, with all below them, that took longest beside the
// others.
func (r *report) printSlowest() {
	var all []string
	for pkg, tests := range r.tests {
		for name, t := range tests {
			if !strings.Contains(name, "/") && t.took >= slow {
				all = append(all, fmt.Sprintf("slow: %6.1f s %s %s\n", t.took, pkg, name))
			}
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	for _, line := range all[:min(len(all), slowest)] {
		r.print(line)
	}
}

func hasElement(name, element string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(e string) bool { return strings.EqualFold(e, element) })
}

// print writes to standard output; who closed it reads no error either.
func (r *report) print(text string) { _, _ = io.WriteString(r.to, text) }

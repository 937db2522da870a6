package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	root    = "../.."
	planted = "./cmd/art32vet/internal/check/testdata/planted"
	clean   = "./cmd/art32vet/internal/check/testdata/clean"
)

// TestVet builds the tool and lets go vet run it, as users do: on the program
// with every fault, on one without, and on the examples.
func TestVet(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	tool := build(t)
	want := announced(t)
	if len(want) < 70 {
		t.Fatalf("%d lines announce a finding", len(want))
	}
	for name, args := range map[string][]string{
		"by go vet": {"go", "vet", "-vettool=" + tool, planted},
		"alone":     {tool, planted},
	} {
		out, code := run(t, args)
		if diff := cmp.Diff(want, findings(out)); diff != "" || code == 0 {
			t.Errorf("%s: code %d, findings (-want +got):\n%s", name, code, diff)
		}
	}
	for name, args := range map[string][]string{
		"by go vet": {"go", "vet", "-vettool=" + tool, clean, "./examples/minimal", "./examples/quickstart"},
		"alone":     {tool, clean, "./examples/minimal", "./examples/quickstart"},
	} {
		if out, code := run(t, args); code != 0 || len(findings(out)) != 0 {
			t.Errorf("%s: code %d:\n%s", name, code, out)
		}
	}
}

// TestOne chooses one analyzer.
func TestOne(t *testing.T) {
	t.Parallel()
	tool := build(t)
	want := slices.DeleteFunc(announced(t), func(at string) bool { return !strings.HasPrefix(at, "outerctx.go") })
	out, code := run(t, []string{"go", "vet", "-vettool=" + tool, "-outerctx", planted})
	if diff := cmp.Diff(want, findings(out)); diff != "" || code == 0 {
		t.Errorf("code %d, findings (-want +got):\n%s", code, diff)
	}
	if out, code := run(t, []string{tool, "help", "reveallog"}); code != 0 || !strings.Contains(out, "[encrypted]") {
		t.Errorf("help: code %d:\n%s", code, out)
	}
}

func build(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "art32vet")
	if runtime.GOOS == "windows" {
		tool += ".exe"
	}
	if out, code := run(t, []string{"go", "build", "-o", tool, "./cmd/art32vet"}); code != 0 {
		t.Fatal(out)
	}
	return tool
}

// run runs a command in the module and returns what it printed.
func run(t *testing.T, args []string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = root
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// announced lists the lines of the planted program that want a finding.
func announced(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, planted, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			if strings.Contains(line, "// want `") {
				at = append(at, fmt.Sprintf("%s:%d", filepath.Base(file), n))
			}
		}
	}
	slices.Sort(at)
	return at
}

var finding = regexp.MustCompile(`(?m)^(?:.*[/\\])?([a-z]+\.go:[0-9]+):[0-9]+: `)

// findings lists the lines of a tool's findings, each once.
func findings(out string) []string {
	var at []string
	for _, m := range finding.FindAllStringSubmatch(out, -1) {
		at = append(at, m[1])
	}
	slices.Sort(at)
	return slices.Compact(at)
}

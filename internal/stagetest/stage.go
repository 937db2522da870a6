// Package stagetest lets an Example call what takes a [testing.TB].
package stagetest

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Stage stands for the t of a test where there is none. What would fail the
// test is printed, and so fails the Example by its output. What would end it
// panics.
type Stage struct {
	testing.TB // nil: what is not defined here cannot be called

	cleanup []func()
}

// New begins; the caller defers [Stage.End].
func New() *Stage { return &Stage{} }

// End runs what was handed to Cleanup, the last first.
func (s *Stage) End() {
	for len(s.cleanup) > 0 {
		last := len(s.cleanup) - 1
		f := s.cleanup[last]
		s.cleanup = s.cleanup[:last]
		f()
	}
}

// Attr implements [testing.TB]; nobody reads it.
func (*Stage) Attr(_, _ string) {}

// Cleanup implements [testing.TB].
func (s *Stage) Cleanup(f func()) { s.cleanup = append(s.cleanup, f) }

// Context implements [testing.TB]; it does not end.
func (*Stage) Context() context.Context { return context.Background() }

// Errorf implements [testing.TB].
func (*Stage) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// Fatal implements [testing.TB].
func (*Stage) Fatal(args ...any) { mustNot(fmt.Sprint(args...)) }

// Fatalf implements [testing.TB].
func (*Stage) Fatalf(format string, args ...any) { mustNot(fmt.Sprintf(format, args...)) }

// Helper implements [testing.TB].
func (*Stage) Helper() {}

// TempDir implements [testing.TB].
func (s *Stage) TempDir() string {
	dir, err := os.MkdirTemp("", "art32-example-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustNot(text string) { panic(text) }

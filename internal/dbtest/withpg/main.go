// Command withpg runs a command while a PostgreSQL server for tests is there:
//
//	go run ./internal/dbtest/withpg -- go test ./...
//
// The server is found as package dbtest finds it, and the command learns of it
// by ART32_TEST_POSTGRES, so that one server serves every package that the
// command tests. The exit status is that of the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/art32/art32/internal/dbtest"
)

const statusUsage = 2

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withpg -- COMMAND [ARGUMENT…]")
		os.Exit(statusUsage)
	}
	status, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(status)
}

// run returns the status of the command, or 1 with an error when the command or
// the server could not be run.
func run(args []string) (status int, err error) {
	server, err := dbtest.Start(context.Background())
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := server.Stop(); stopErr != nil {
			status, err = max(status, 1), errors.Join(err, stopErr)
		}
	}()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "ART32_TEST_POSTGRES="+server.URL())
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	defer passSignals(cmd.Process)()
	return wait(cmd)
}

// wait turns the end of the command into a status as a shell does: 128 and the
// number of the signal that ended it.
func wait(cmd *exec.Cmd) (int, error) {
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return 0, err
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// passSignals hands a request to end on to the command, whose end is then ours.
// A terminal sends its interrupt to both, so that one is only held back.
func passSignals(process *os.Process) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				_ = process.Signal(s) // an error means that it has ended
			}
		}
	}()
	return func() { signal.Stop(signals); close(signals) }
}

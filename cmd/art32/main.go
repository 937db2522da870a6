// Command art32 prepares, migrates, verifies and backs up the databases of art32,
// and tells of incidents.
//
// `art32 help` lists the verbs, `art32 VERB -h` explains one. docs/cli.md holds
// the same text.
package main

import (
	"context"
	"os"
	"os/signal"
	_ "time/tzdata" // deadlines need the zones also where the system has none
)

func main() { os.Exit(realMain()) }

func realMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

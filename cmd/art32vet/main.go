// Command art32vet finds in a program what takes it past the measures of art32:
// databases opened past the library, contexts from outside a transaction,
// revealed values in logs, tables whose declaration tenancy refuses, and SQL that is
// put together while the program runs.
//
//	go install github.com/art32/art32/cmd/art32vet@latest
//	go vet -vettool=$(which art32vet) ./...   with go vet's cache; tests included
//	art32vet ./...                            alone; -rawhandle and so on choose one
//	art32vet help outerctx                    says what an analyzer looks for
//
// A finding that is meant is excused on its line or the line above, with a
// reason: //art32:allow rawhandle REASON.
package main

import (
	"golang.org/x/tools/go/analysis/multichecker"

	"github.com/art32/art32/cmd/art32vet/internal/check"
)

func main() { multichecker.Main(check.All()...) }

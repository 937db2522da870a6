# make test           everything that must hold before a change is merged
# make lint           format, modernisers, linters, known vulnerabilities
# make soak           what takes minutes: kill, load, long runs
# make fuzz           every fuzz test for FUZZTIME
# make bench          one line for each promise; make bench-crypto for one package

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := test

GO ?= go
FUZZTIME ?= 30s
BENCHTIME ?= 1s
TIMEOUT ?= 15m

TOOL := $(GO) tool -modfile=tools/go.mod
WITHPG := $(GO) run ./internal/dbtest/withpg --
AGAIN := $(MAKE) --no-print-directory
# A program with the race detector else sleeps a second before it ends, and tests
# start hundreds of them.
export GORACE ?= atexit_sleep_ms=50
# The race detector watches all Go but what was translated from the C of SQLite: that
# takes five times as long under it, and shares nothing that the driver does not guard.
RACE := -race $(foreach p,libc/... memory sqlite/lib,-gcflags='modernc.org/$(p)=-race=false -d=checkptr=0')
# The modules beside the root that hold code, as far as they exist.
MODULES := $(patsubst %/go.mod,%,$(wildcard bench/go.mod interop/go.mod))

.SILENT: test-on-server soak-on-server vuln fuzz fuzz-on-server bench bench-on-server
.PHONY: test test-on-server soak soak-on-server lint vuln fuzz fuzz-on-server bench bench-on-server

# test vets and tests the root and the modules beside it, on one PostgreSQL.
test:
	$(GO) vet ./...
	for m in $(MODULES); do (cd $$m && $(GO) vet ./...); done
	$(WITHPG) $(AGAIN) test-on-server

test-on-server:
	{ status=0; \
	  $(GO) test $(RACE) -shuffle=on -timeout=$(TIMEOUT) -json ./... || status=1; \
	  GODEBUG=fips140=only $(GO) test -timeout=$(TIMEOUT) -json ./crypto/... ./internal/aead/... || status=1; \
	  for m in $(MODULES); do (cd $$m && $(GO) test -timeout=$(TIMEOUT) -json ./...) || status=1; done; \
	  exit $$status; } | $(GO) run ./internal/testreport

soak:
	$(WITHPG) $(AGAIN) soak-on-server

soak-on-server:
	$(GO) test $(RACE) -tags=soak -timeout=2h -json ./... | $(GO) run ./internal/testreport

lint: vuln
	files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt -w $$files"; exit 1; fi
	$(GO) fix -diff ./...
	$(TOOL) golangci-lint run ./...

# vuln passes with a word when the database of vulnerabilities is out of reach.
vuln:
	if out=$$($(TOOL) govulncheck ./... 2>&1); then echo "$$out"; \
	elif grep -qE 'fetching vulnerabilities:|dial tcp|no such host' <<<"$$out"; then \
	  echo "govulncheck: its database cannot be reached; nothing was checked"; \
	else echo "$$out"; exit 1; fi

fuzz:
	$(WITHPG) $(AGAIN) fuzz-on-server

fuzz-on-server:
	$(GO) list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package folder; do \
	  for name in $$(cat "$$folder"/*_test.go 2>/dev/null | sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p'); do \
	    echo "$$package $$name"; \
	    $(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "$$package" </dev/null; \
	  done; \
	done

# bench ends well when a promise is missed: the lines say so. It fails when a
# benchmark does.
bench:
	$(WITHPG) $(AGAIN) bench-on-server PACKAGE=

bench-%:
	@$(WITHPG) $(AGAIN) bench-on-server PACKAGE=$*/

bench-on-server:
	{ status=0; \
	  $(GO) test -run='^$$' -bench=. -benchtime=$(BENCHTIME) -timeout=2h -p=1 ./$(PACKAGE)... || status=1; \
	  if [ -d bench/$(PACKAGE) ]; then \
	    (cd bench && $(GO) test -run='^$$' -bench=. -benchtime=$(BENCHTIME) -timeout=2h -p=1 ./$(PACKAGE)...) || status=1; \
	  fi; \
	  exit $$status; } 2>&1 | $(GO) run ./internal/promise/collect

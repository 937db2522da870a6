package dbtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

const (
	startLimit  = 15 * time.Minute // finding, installing and starting the server
	createLimit = 2 * time.Minute
	dropLimit   = time.Minute
)

// Postgres creates an empty database for tb and returns the URL of its owner,
// who is a superuser of the server. The database is UTF-8 with collation C, so
// that a test sorts alike on every server. It is dropped when tb ends, open
// connections included. Safe for concurrent use.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return create(tb, processServer(tb), source{name: "template0", blank: true})
}

// FromTemplate is like [Postgres], but the database is a copy of one that build
// prepared. build is called once per process and name, by the first test that
// asks, with the owner's URL of an empty database; it must close what it
// opens. Its error fails every test that asks for the same name.
func FromTemplate(tb testing.TB, name string, build func(ctx context.Context, ownerDSN string) error) string {
	tb.Helper()
	s := processServer(tb)
	entry, _ := templates.LoadOrStore(name, &template{})
	t, _ := entry.(*template)
	t.once.Do(func() {
		t.err = errUnfinished // stands when build ends the test or panics
		t.name, t.err = buildTemplate(context.WithoutCancel(tb.Context()), s, build)
	})
	if t.err != nil {
		tb.Fatalf("dbtest: template %s: %v", name, t.err)
	}
	return create(tb, s, source{name: t.name})
}

var errUnfinished = errors.New("build did not return")

// template is a prepared database.
type template struct {
	once sync.Once
	name string
	err  error
}

var templates sync.Map // name of the template → *template

var openOnce = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	running, err := Start(ctx)
	if err != nil {
		return nil, err
	}
	return openServer(ctx, running)
})

// processServer returns the one server of this process.
func processServer(tb testing.TB) *server {
	tb.Helper()
	s, err := openOnce()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func create(tb testing.TB, s *server, from source) string {
	tb.Helper()
	name := s.nextName()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			tb.Errorf("dbtest: drop database %s: %v", name, err)
		}
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), createLimit)
	defer cancel()
	if err := s.create(ctx, name, from); err != nil {
		tb.Fatalf("dbtest: create database %s: %v", name, err)
	}
	return s.urlOf(name)
}

// buildTemplate runs build on a new database and closes it to connections.
func buildTemplate(ctx context.Context, s *server, build func(context.Context, string) error) (string, error) {
	name := s.nextName()
	if err := s.create(ctx, name, source{name: "template0", blank: true}); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	if err := build(ctx, s.urlOf(name)); err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	if err := s.freeze(ctx, name); err != nil {
		return "", err
	}
	return name, nil
}

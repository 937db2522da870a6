package sqlite

import (
	"context"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// OpenEngine opens the engine without a schema, keys and log.
func OpenEngine(ctx context.Context, dir string, lines []migrate.Line, o *Options) (engine.Engine, error) {
	opts, err := o.orDefault()
	if err != nil {
		return nil, err
	}
	return openDatabase(ctx, dir, lines, opts)
}

// OnStep calls fn before each step of the creation of a tenant's file.
func (o *Options) OnStep(fn func(name string)) { o.step = fn }

// OpenFiles is how many tenants' files are open.
func OpenFiles(e engine.Engine) int {
	d := e.(*database)
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

// Denied reports whether the guard keeps callers from a function.
func Denied(function string) bool { return deniedFunctions[function] }

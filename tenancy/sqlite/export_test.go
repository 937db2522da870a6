package sqlite

import (
	"context"

	"github.com/google/uuid"

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

// IsOpen reports whether a tenant's file is open.
func IsOpen(e engine.Engine, tenant uuid.UUID) bool {
	d := e.(*database)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[tenant] != nil
}

// Evict closes a tenant's file.
func Evict(e engine.Engine, tenant uuid.UUID) error {
	d := e.(*database)
	d.mu.Lock()
	h := d.open[tenant]
	d.forget(h)
	d.mu.Unlock()
	return h.file.close()
}

// Denied reports whether the guard keeps callers from a function.
func Denied(function string) bool { return deniedFunctions[function] }

package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

var _ engine.Holder = (*database)(nil)

// Held implements [engine.Holder] by the names of the files.
func (d *database) Held(context.Context) ([]uuid.UUID, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, tenantsDir))
	if err != nil {
		return nil, pathError("read directory", err)
	}
	var all []uuid.UUID
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if id, err := tenancy.ParseID(name); ok && err == nil {
			all = append(all, id.UUID())
		}
	}
	return all, nil
}

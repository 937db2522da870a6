package pgsource

import (
	_ "embed"

	"github.com/art32/art32/backup"
)

var (
	//go:embed restore.de.md
	restoreDE string
	//go:embed restore.en.md
	restoreEN string
)

var _ backup.Instructor = (*snapshot)(nil)

// Instructions implements [backup.Instructor]: the section of RESTORE.md for a
// restore with psql.
func (s *snapshot) Instructions() (de, en string) { return restoreDE, restoreEN }

package pgsource

import _ "embed"

var (
	//go:embed restore.de.md
	restoreDE string
	//go:embed restore.en.md
	restoreEN string
)

// Instructions are the section of RESTORE.md for a restore with psql, in German
// and English.
func (s *snapshot) Instructions() (de, en string) { return restoreDE, restoreEN }

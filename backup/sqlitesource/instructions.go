package sqlitesource

import _ "embed"

//go:embed restore.de.md
var restoreDE string

//go:embed restore.en.md
var restoreEN string

// Instructions implements [backup.Instructor].
func (v *snapshot) Instructions() (de, en string) { return restoreDE, restoreEN }

package backup

import (
	"context"
)

// Instructor is what a [Snapshot] may offer beyond: the steps of a restore by
// hand that belong to its engine.
type Instructor interface {
	// Instructions are Markdown in German and in English, each a section that
	// begins where all parts are decrypted and unpacked below the folder OUT.
	Instructions() (de, en string)
}

func (r *run) texts(ctx context.Context, snap Snapshot) error {
	return nil
}

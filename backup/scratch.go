package backup

import (
	"errors"
	"fmt"
	"os"
)

// scratch is a file that nobody else can open: it has mode 0600 and, where the
// system lets an open file go, no name.
type scratch struct {
	file    *os.File
	unnamed bool
}

// newScratch makes one in [os.TempDir]. It holds ciphertext only.
func newScratch() (*scratch, error) {
	f, err := os.CreateTemp("", "art32-part-")
	if err != nil {
		return nil, fmt.Errorf("make a private copy: %w", err)
	}
	return &scratch{file: f, unnamed: os.Remove(f.Name()) == nil}, nil
}

func (s *scratch) close() error {
	err := s.file.Close()
	if !s.unnamed {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

package backup

import (
	"errors"
	"fmt"
	"io/fs"
)

// ledgers are the copies of the ledger in folders of the vault, read once: what
// was checked is what is used.
type ledgers struct {
	dirs  []string
	texts [][]byte
	err   error // of copies that could not be read
}

func readLedgers(dirs []string) *ledgers {
	l := &ledgers{dirs: dirs}
	var errs []error
	for _, dir := range dirs {
		text, err := readLedgerIn(dir)
		l.texts, errs = append(l.texts, text), append(errs, err)
	}
	l.err = errors.Join(errs...)
	return l
}

func readLedgerIn(dir string) ([]byte, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	text, err := f.read(ledgerName)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: folder %s holds no ledger: is it one of the vault?", ErrLedger, dir)
	}
	return text, err
}

// chain is the longest copy, of which the others are beginnings. With the secret
// each entry must bear the code of this system. Beside an error it is what can be
// saved: every entry of every copy.
func (l *ledgers) chain(secret []byte) (*chain, error) {
	saved := newChain(secret)
	var all []*chain
	errs := []error{l.err}
	for i, text := range l.texts {
		saved.salvage(text)
		c, err := parseCopy(l.dirs[i], text, secret)
		all, errs = append(all, c), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return saved, err
	}
	best, _, err := longest(all, l.dirs)
	if err != nil {
		return saved, err
	}
	return all[best], nil
}

// parseCopy reads the ledger of a folder.
func parseCopy(dir string, text, secret []byte) (*chain, error) {
	c, err := parseChain(text, secret)
	if err != nil {
		return nil, fmt.Errorf("%w: the copy in folder %s is the wrong one", err, dir)
	}
	return c, nil
}

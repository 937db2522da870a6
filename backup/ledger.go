package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

const ledgerName = "erasures.jsonl"

// Ledger remembers in the vault who was erased, by pseudonym, so that a backup
// that is restored later forgets them again. Pass it to the database as
// Options.Ledger. It is safe for concurrent use, also by several processes.
type Ledger struct{ vault *Vault }

var _ tenancy.ErasureLedger = (*Ledger)(nil)

// Erased implements [tenancy.ErasureLedger]: it returns nil once the entry is on
// the disk of every folder of the vault, and does nothing for a subject that has
// one.
func (l *Ledger) Erased(ctx context.Context, tenant tenancy.ID, subject uuid.UUID) error {
	return l.vault.locked(ctx, func() error {
		if err := l.vault.refresh(); err != nil {
			return err
		}
		return l.vault.append(l.vault.names.tenant(tenant), l.vault.names.subject(tenant, subject))
	})
}

// State says how far the ledger was written, as this process knows it.
func (l *Ledger) State() LedgerState {
	l.vault.mu.Lock()
	defer l.vault.mu.Unlock()
	return l.vault.chain.state()
}

// append writes an entry into all folders. The caller has the lock.
func (v *Vault) append(tenant, subject string) error {
	if v.chain.has(tenant, subject) {
		return nil
	}
	line, err := v.chain.next(time.Now(), tenant, subject)
	if err != nil {
		return err
	}
	text := append(bytes.Clone(line), '\n')
	for _, dir := range v.dirs {
		if err := appendAt(filepath.Join(dir, ledgerName), v.chain.size, text); err != nil {
			return fmt.Errorf("backup: write the ledger: %w", err)
		}
		v.step("entry")
	}
	return v.chain.add(line)
}

// refresh reads the ledger again if somebody else wrote it, and mends what a
// crash left. The caller has the lock.
func (v *Vault) refresh() error {
	for _, dir := range v.dirs {
		st, err := os.Stat(filepath.Join(dir, ledgerName))
		if err != nil || st.Size() != v.chain.size {
			return v.readLedger()
		}
	}
	return nil
}

// readLedger reads all copies. One that lacks the last entry is completed: a
// crash fell between two folders. One that lacks more is an old copy.
func (v *Vault) readLedger() error {
	copies, texts := make([]*chain, len(v.dirs)), make([][]byte, len(v.dirs))
	for i, dir := range v.dirs {
		if err := checkFolder(dir); err != nil {
			return err
		}
		var err error
		if copies[i], texts[i], err = readChain(filepath.Join(dir, ledgerName)); err != nil {
			return err
		}
	}
	best, behind, err := longest(copies)
	if err != nil {
		return err
	}
	for i, n := range behind {
		if n > 1 {
			return fmt.Errorf("%w: folder %s lacks the last %d entries of the ledger: copy the newer one over it if it is yours", ErrVault, v.dirs[i], n)
		}
	}
	for i, dir := range v.dirs {
		rest := texts[best][copies[i].size:]
		if err := appendAt(filepath.Join(dir, ledgerName), copies[i].size, rest); err != nil {
			return fmt.Errorf("backup: mend the ledger: %w", err)
		}
	}
	v.chain = copies[best]
	return nil
}

// appendAt writes text at offset at, behind which nothing that counts lies, and
// brings it to the disk.
func appendAt(path string, at int64, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(at)
	if err == nil {
		_, err = f.WriteAt(text, at)
	}
	if err != nil {
		_ = f.Truncate(at) // a torn line is left out in any case
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
}

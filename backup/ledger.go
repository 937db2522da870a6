package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

const ledgerName = "erasures.jsonl"

// Ledger remembers in the vault who was erased, by pseudonym, so that a backup
// that is restored later forgets them again. Pass it to the database as
// Options.Ledger. It is safe for concurrent use, also by several processes.
type Ledger struct{ vault *Vault }

var _ tenancy.TenantLedger = (*Ledger)(nil)

// wholeTenant stands in the ledger for all data subjects of a tenant.
var wholeTenant = uuid.Nil

// Erased implements [tenancy.ErasureLedger]: it returns nil once the entry is on
// the disk of every folder of the vault, and does nothing for a subject that has
// one.
func (l *Ledger) Erased(ctx context.Context, tenant tenancy.ID, subject uuid.UUID) error {
	return l.vault.locked(ctx, func() error {
		if err := l.vault.refresh(); err != nil {
			return err
		}
		return l.vault.append(tenant, subject)
	})
}

// ErasedTenant implements [tenancy.TenantLedger]: it writes an entry that stands
// for the whole tenant, and gives up the tenant's backups with [Vault.Forget]. It
// returns nil once both are on the disk of every folder.
func (l *Ledger) ErasedTenant(ctx context.Context, tenant tenancy.ID) error {
	if err := l.Erased(ctx, tenant, wholeTenant); err != nil {
		return err
	}
	return l.vault.Forget(ctx, tenant)
}

// Told implements [tenancy.LedgerReader].
func (l *Ledger) Told(ctx context.Context, tenant tenancy.ID, subject uuid.UUID) (told bool, err error) {
	err = l.vault.locked(ctx, func() error {
		if err := l.vault.refresh(); err != nil {
			return err
		}
		told = l.vault.listed(tenant, subject)
		return nil
	})
	return told, err
}

// State says how far the ledger was written, as this process knows it.
func (l *Ledger) State() LedgerState {
	l.vault.mu.Lock()
	defer l.vault.mu.Unlock()
	return l.vault.chain.state()
}

// listed reports whether an entry names the data subject. The caller has the lock.
func (v *Vault) listed(id tenancy.ID, person uuid.UUID) bool {
	return v.chain.has(v.names.tenant(id), v.names.subject(id, person))
}

// append writes an entry into all folders. The caller has the lock.
func (v *Vault) append(id tenancy.ID, person uuid.UUID) error {
	if v.listed(id, person) {
		return nil
	}
	tenant, subject := v.names.tenant(id), v.names.subject(id, person)
	line, err := v.chain.next(time.Now(), tenant, subject)
	if err != nil {
		return err
	}
	text := append(bytes.Clone(line), '\n')
	for _, f := range v.open {
		if err := f.appendAt(ledgerName, v.chain.size, text); err != nil {
			return fmt.Errorf("backup: write the ledger: %w", err)
		}
		v.step("entry")
	}
	return v.chain.add(line)
}

// refresh reads the ledger again if somebody else wrote it, and mends what a
// crash left. The caller has the lock.
func (v *Vault) refresh() error {
	for _, f := range v.open {
		if same, err := f.endsAs(v.chain); !same {
			return errors.Join(err, v.readLedger())
		}
	}
	return nil
}

// endsAs compares size and last line of a folder's ledger.
func (f *folder) endsAs(c *chain) (same bool, err error) {
	file, err := f.open(ledgerName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	st, err := file.Stat()
	if err != nil || st.Size() != c.size {
		return false, err
	}
	end := make([]byte, min(c.size, int64(len(c.last))+1))
	_, err = file.ReadAt(end, c.size-int64(len(end)))
	return err == nil && bytes.Equal(bytes.TrimSuffix(end, []byte("\n")), c.last), err
}

// readLedger reads all copies. One that lacks the last entry is completed: a
// crash fell between two folders. One that lacks more is an old copy.
func (v *Vault) readLedger() error {
	copies, texts := make([]*chain, len(v.open)), make([][]byte, len(v.open))
	for i, f := range v.open {
		var err error
		if copies[i], texts[i], err = readChain(f, v.names.subjects); err != nil {
			return err
		}
	}
	best, behind, err := longest(copies, v.paths())
	if err != nil {
		return err
	}
	for i, n := range behind {
		if n > 1 {
			return fmt.Errorf("%w: folder %s lacks the last %d entries of the ledger: copy the newer one over it if it is yours", ErrVault, v.open[i].path, n)
		}
	}
	for i, f := range v.open {
		rest := texts[best][copies[i].size:]
		if err := f.appendAt(ledgerName, copies[i].size, rest); err != nil {
			return fmt.Errorf("backup: mend the ledger: %w", err)
		}
	}
	v.chain = copies[best]
	return nil
}

func (v *Vault) paths() (all []string) {
	for _, p := range v.dirs {
		all = append(all, p.path)
	}
	return all
}

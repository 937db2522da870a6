package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
)

// erasures looks for people whom the ledger names and the database still knows:
// those whom a restore by hand brought back (Art. 17 GDPR).
func (d *doctor) erasures(ctx context.Context) {
	const measure, name = "TOM-7.3", "erasures"
	switch {
	case len(d.copies.vault) == 0 || d.key == "":
		d.unchecked(measure, name, "name --vault and --key")
		return
	case d.unsound():
		d.unchecked(measure, name, "mend first what is BAD about the database and its root key")
		return
	}
	n, err := d.missed(ctx)
	switch {
	case err != nil:
		d.add(measure, name, bad(err.Error(), ""))
	case n > 0:
		d.add(measure, name, bad(fmt.Sprintf("%d erasures of the ledger are undone: the data were restored, and people are back who were erased", n),
			"let nobody use the database; art32 backup replay"))
	default:
		d.note(measure, name, "whoever the ledger names is erased")
	}
}

// unsound reports whether the database should not be opened as it is.
func (d *doctor) unsound() bool {
	names := []string{platformFile, keystoreFile, "root key", "catalogue", "tenants", "tenants' files"}
	return slices.ContainsFunc(d.checks, func(c check) bool {
		return c.State == stateBad && (slices.Contains(names, c.Name) || strings.HasPrefix(c.Name, tenantsDir+"/"))
	})
}

// missed counts them as the library reads, without opening anything for writing.
func (d *doctor) missed(ctx context.Context) (n int, err error) {
	src, err := openSource(ctx, &d.target)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	root, err := keyring.KeyFile(d.key)
	if err != nil {
		return 0, err
	}
	store, done, err := d.keystore(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return 0, err
	}
	for range maxStirred {
		db, err := readTables(ctx, src, keys)
		if err != nil {
			return 0, err
		}
		n, err := backup.Missed(ctx, db, keys, store, d.copies.vault...)
		if !src.moved(uuid.Nil) { // which an application opens first
			return n, err
		}
	}
	return 0, errStirred
}

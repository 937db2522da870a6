package main

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

func erasureRecordVerb() verb {
	return verb{
		name:  "erasure record",
		brief: "issue the signed record of an erasure (Löschprotokoll)",
		login: needsKeys + "; with --vault, the vault",
		more: `It looks at what stands: the tombstone in the keystore, the rows, the log and, with
--vault, the ledger; where anything is missing it issues nothing. The record says which
columns can no longer be read, which were only deleted, what stays, and until when a copy
of the keystore could bring the key back: declare each kind of copy with --copy. That it
is issued stands in the log. Into OUT go record.json, its signature record.json.sig, which
ssh-keygen -Y verify checks, and the same for people to read, record.de.md and
record.en.md. It holds no data of the person but the id; the reason stands in it in clear
and must name nobody.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &erasureRecord{}
			r.flags(fs)
			fs.StringVar(&r.subject, "subject", "", "the `ID` of the data subject; default: the record is that of the whole tenant")
			fs.Var(&r.copies, "copy", "a kind of copy of the keystore and how long one lives, as `NAME=LIFE` (36h, 14d), or the word none; required; repeated")
			fs.DurationVar(&r.cache, "cache", 0, "how long the application keeps opened keys (keyring.Options.TTL), a `DURATION`; default: 5m")
			fs.StringVar(&r.reason, "reason", "", "why, as a `TEXT` for the record and the log; default: none")
			fs.StringVar(&r.out, "out", "", "the `DIR` for the files; required")
			return r.run
		},
	}
}

// erasureRecord is one call of the verb.
type erasureRecord struct {
	erasing

	subject string
	copies  values
	cache   time.Duration
	out     string
}

func (r *erasureRecord) run(ctx context.Context, out *output) (err error) {
	tenant, subject, err := r.resolve()
	if err != nil {
		return err
	}
	if err := freeForRecord(r.out); err != nil {
		return err
	}
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx = tenancy.WithTenant(acting(ctx, r.reason), tenant)
	var signed *tenancy.SignedErasureRecord
	if subject == uuid.Nil {
		signed, err = o.db.TenantErasureRecord(ctx)
	} else {
		signed, err = o.db.ErasureRecord(ctx, subject)
	}
	if err != nil {
		return err
	}
	if err := writeRecord(r.out, signed); err != nil {
		return err
	}
	file := filepath.Join(r.out, recordFile)
	out.textf("record %s: %s", signed.ID, file)
	out.textf("erased at %s; a declared copy of the keystore could bring the key back until %s",
		signed.ErasedAt.Format(time.RFC3339), signed.Horizon.Format(time.RFC3339))
	out.textf("signer %s\n  hold it elsewhere, and pass it to erasure verify", signed.Signer)
	return out.value(map[string]any{"ok": true, "record": file, "id": signed.ID, "signer": signed.Signer, "horizon": signed.Horizon})
}

// resolve makes sure that all is named.
func (r *erasureRecord) resolve() (tenant tenancy.ID, subject uuid.UUID, err error) {
	if tenant, err = r.erasing.resolve(); err != nil {
		return tenant, subject, err
	}
	if r.subject != "" {
		if subject, err = uuid.Parse(r.subject); err != nil || subject == uuid.Nil {
			return tenant, subject, usagef("--subject is no ID of a data subject")
		}
	}
	if len(r.copies) == 0 || r.out == "" || r.cache < 0 {
		return tenant, subject, usagef("--copy NAME=LIFE and --out DIR are required")
	}
	copies, err := parseCopies(r.copies)
	r.ring = keyring.Options{Copies: copies, TTL: r.cache}
	return tenant, subject, err
}

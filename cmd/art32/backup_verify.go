package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/backup"
)

func backupVerifyVerb() verb {
	return verb{
		name:  "backup verify",
		brief: "check the signature, the size and the digest of every part of a backup",
		login: "read access to the target and the vault. No key; with --identity, that of a recovery recipient",
		more: `It writes nothing. With --vault it also looks at the copy of the keystore, at the
identity of each tenant, which must be the one that the parts are encrypted to, and at
the ledger of erasures, which must hold what any run saw that the target or the vault
tells of. Who wrote its entries it cannot tell without the keystore: backup restore,
backup replay and doctor with the root key do. Where the vault tells of a newer run
than the target holds, --run must say that an older one is meant. With --identity
everything is decrypted to its end and counted, which belongs on another machine than
the one that writes the backups. Only a restore shows that a backup can be restored.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			v := &backupVerify{}
			v.readFlags(fs, "default: the one that the backup names, which shows damage and not forgery")
			fs.Var(&v.identity, "identity", "a `FILE` of age identities that can recover; needs --vault; may be repeated; default: nothing is decrypted")
			return v.verify
		},
	}
}

// backupVerify is one call of the verb.
type backupVerify struct {
	place

	identity values
}

func (v *backupVerify) verify(ctx context.Context, out *output) (err error) {
	if err := v.resolve(); err != nil {
		return err
	}
	if len(v.identity) > 0 && len(v.vault) == 0 {
		return usagef("--identity needs --vault DIR, where the tenants' identities lie")
	}
	ids, err := readIdentities(v.identity)
	if err != nil {
		return err
	}
	target, err := v.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	name, err := v.choose(ctx, target)
	if err != nil {
		return err
	}
	rep, err := backup.Verify(ctx, target, name, &backup.VerifyOptions{Signer: v.signer, Vault: v.vault, Identities: ids})
	if rep == nil || ctx.Err() != nil {
		return err
	}
	return v.print(out, rep, err)
}

// print says what was looked at, and what is wrong.
func (v *backupVerify) print(out *output, rep *backup.Report, wrong error) error {
	why := ""
	if wrong != nil {
		why = wrong.Error()
	}
	out.textf("run %s, %s", rep.Run, old(rep.Age))
	out.textf("%s", signedBy(rep.Signer, rep.SignerGiven))
	out.textf("parts compared with their digests: %d, %s", rep.Parts, size(rep.Bytes))
	if rep.Keystore {
		out.textf("copy of the keystore: as the backup names it")
	}
	if rep.Identities > 0 {
		out.textf("identities of tenants: %d, as the backup needs them", rep.Identities)
	}
	if rep.Ledger != nil {
		out.textf("ledger of erasures: %d entries, among them all that any run saw; the codes of the entries are not checked without the keystore", rep.Ledger.Entries)
	}
	if len(v.identity) > 0 {
		out.textf("parts decrypted to their end: %d, with %d rows", rep.Opened, rep.Rows)
	}
	for _, name := range rep.Forgotten {
		out.textf("forgotten by intent, and not to be opened any more: %s", name)
	}
	v.warn(out, rep.Newer)
	if why != "" {
		out.textf("BAD   %s", why)
	} else {
		out.textf("ok")
	}
	err := out.value(struct {
		OK bool `json:"ok"`
		*backup.Report

		Wrong string `json:"wrong,omitzero"`
	}{why == "", rep, why})
	if err == nil && why != "" {
		err = errFindings
	}
	return err
}

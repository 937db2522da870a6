package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

func erasureVerifyVerb() verb {
	return verb{
		name:  "erasure verify",
		brief: "check the signature of an erasure record, and say what it says",
		login: "read access to the files. No key, no database",
		more: `The record must be in the one form in which records are issued. It says what was
looked at when it was issued, and how long copies of the keystore live as the operator
has declared; whether that declaration was true it cannot show.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			v := &erasureVerify{}
			fs.StringVar(&v.record, "record", "", "the `FILE` record.json; required")
			fs.StringVar(&v.signature, "signature", "", "the `FILE` with its signature; default: that of the record with .sig behind it")
			fs.StringVar(&v.signer, "signer", "", "the public `KEY` that must have signed, or a file that holds it, as it is kept elsewhere;\n"+
				"default: the one that the record names, which shows damage and not forgery")
			return v.run
		},
	}
}

// erasureVerify is one call of the verb.
type erasureVerify struct {
	record, signature, signer string
}

func (v *erasureVerify) run(_ context.Context, out *output) error {
	if v.record == "" {
		return usagef("--record FILE is required")
	}
	signer, err := readSigner(v.signer)
	if err != nil {
		return err
	}
	text, err := readSmall(v.record)
	if err != nil {
		return err
	}
	sig, err := readSmall(cmp.Or(v.signature, v.record+".sig"))
	if err != nil {
		return err
	}
	given := signer != "" && signer != backup.SignerOfManifest
	if !given {
		r, err := tenancy.ParseErasureRecord(text)
		if err != nil {
			return err
		}
		signer = r.Signer
	}
	r, err := tenancy.VerifyErasureRecord(signer, text, sig)
	if err != nil {
		return err
	}
	return printRecord(out, r, given)
}

func printRecord(out *output, r *tenancy.ErasureRecord, given bool) error {
	out.textf("record %s of tenant %s", r.ID, r.Controller.ID)
	if r.DataSubject != uuid.Nil {
		out.textf("data subject %s", r.DataSubject)
	} else {
		out.textf("the whole tenant")
	}
	out.textf("erased at %s, issued at %s by %s", r.ErasedAt.Format(time.RFC3339), r.IssuedAt.Format(time.RFC3339), r.IssuedBy)
	out.textf("a declared copy of the keystore could bring the key back until %s", r.Horizon.Format(time.RFC3339))
	if given {
		out.textf("signed by the key that was given: %s", r.Signer)
	} else {
		out.textf("signed by the key that it names itself: %s\n  hold it elsewhere, and pass it with --signer: else a forged record looks the same", r.Signer)
	}
	out.textf("ok")
	return out.value(map[string]any{"ok": true, "signer_given": given, "record": r})
}

// readSmall reads a file that cannot be large.
func readSmall(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = errors.New("it is longer than any record")
	}
	return text, err
}

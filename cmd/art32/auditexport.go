package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditExportVerb() verb {
	return verb{
		name:  "audit export",
		brief: "write the audit logs as folders that public tools verify (c2sp.org/tlog-tiles)",
		login: "the library login (--dsn), or read access to the directory (--data). No key and no secret",
		more: `Each log gets a folder below OUT, named platform or after the tenant's id, with
checkpoint, tile/… and the public key as log.vkey, whose name is the origin. It
holds no payload. An export that is there is brought up to date. Nothing checks
the entries against what they describe: that does audit verify.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			x := &exportation{}
			x.flags(fs, "library", envLibrary)
			fs.StringVar(&x.out, "out", "", "the `DIR` that gets a folder per log")
			fs.StringVar(&x.tenant, "tenant", "", "export one log only: the `ID` of a tenant, or the word platform")
			return x.run
		},
	}
}

// exportation is one call of the verb.
type exportation struct {
	target

	out    string
	tenant string
	source source
	db     *tenancy.DB
}

// exported is what became of one log.
type exported struct {
	Tenant string   `json:"tenant"` // "platform" or the tenant's id
	Folder string   `json:"folder"` // "": nothing was sealed yet
	Origin string   `json:"log"`
	Size   int64    `json:"size"`
	Wrong  []string `json:"wrong"`
}

func (x *exportation) run(ctx context.Context, out *output) (err error) {
	if err := x.resolve(); err != nil {
		return err
	}
	if x.out == "" {
		return usagef("--out DIR is required")
	}
	if x.tenant, err = checkTenant(x.tenant); err != nil {
		return err
	}
	if x.source, err = openSource(ctx, &x.target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.source.close()) }()
	if x.db, err = readOnly(x.source); err != nil {
		return err
	}
	subjects, err := x.source.logs(ctx)
	if err != nil {
		return err
	}
	if subjects, err = narrow(subjects, x.tenant); err != nil {
		return err
	}
	return x.all(ctx, out, subjects)
}

func (x *exportation) all(ctx context.Context, out *output, subjects []subject) error {
	logs := []exported{}
	bad := false
	for _, s := range subjects {
		e := x.export(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bad = bad || len(e.Wrong) > 0
		e.print(out)
		logs = append(logs, e)
	}
	err := out.value(struct {
		OK   bool       `json:"ok"`
		Logs []exported `json:"logs"`
	}{!bad, logs})
	if err == nil && bad {
		err = errFindings
	}
	return err
}

func (x *exportation) export(ctx context.Context, s subject) exported {
	e := exported{Tenant: s.name(), Wrong: append([]string{}, s.wrong...)}
	if s.absent {
		return e
	}
	dir := filepath.Join(x.out, s.name())
	err := x.write(ctx, s.tenant, dir)
	if errors.Is(err, audit.ErrNoLog) {
		return e
	}
	if err == nil {
		err = e.head(dir)
	}
	if err != nil {
		e.Wrong = append(e.Wrong, "could not be exported: "+err.Error())
	}
	return e
}

// write exports a log, once more if somebody opened its file meanwhile.
func (x *exportation) write(ctx context.Context, tenant tenancy.ID, dir string) error {
	for range maxStirred {
		err := audit.Export(ctx, x.db, tenant, dir)
		if !x.source.moved(tenant.UUID()) {
			return err
		}
	}
	return errStirred
}

// head reads back what was written.
func (e *exported) head(dir string) error {
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		return err
	}
	c, err := audit.ParseCheckpoint(note, string(bytes.TrimSpace(key)))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	e.Folder, e.Origin, e.Size = dir, c.Origin, c.Size
	return nil
}

func (e *exported) print(out *output) {
	switch {
	case len(e.Wrong) > 0:
		out.textf("BAD   %s", e.Tenant)
	case e.Folder == "":
		out.textf("none  %s: nothing was sealed yet", e.Tenant)
		return
	default:
		out.textf("ok    %s", e.Tenant)
	}
	for _, text := range e.Wrong {
		out.textf("      %s", text)
	}
	if e.Folder != "" {
		out.textf("      %d entries of %s in %s", e.Size, e.Origin, e.Folder)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditExportVerb() verb {
	return verb{
		name:  "audit export",
		brief: "write the audit logs as folders that anybody can verify without this database",
		login: "the library login (--dsn), or read access to the directory (--data). No key and no secret",
		more: `The platform and each tenant get a folder below OUT, named platform or after the
tenant's id; in it each of its logs has one, named by its number, in the form of
c2sp.org/tlog-tiles, which public tools verify. A tenant's folder is complete by
itself: hand it over as a whole. It holds no payload. What is there already is
brought up to date. Whoever gets it checks it with audit verify --export. Nothing
checks the entries against what they describe: that does audit verify.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			x := &exportation{}
			x.flags(fs, "library", envLibrary)
			fs.StringVar(&x.out, "out", "", "the `DIR` that gets a folder for the platform and each tenant")
			fs.StringVar(&x.tenant, "tenant", "", "export the logs of one only: the `ID` of a tenant, or the word platform")
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

// exported is what became of the logs of the platform or of a tenant.
type exported struct {
	Tenant  string   `json:"tenant"` // "platform" or the tenant's id
	Folder  string   `json:"folder"` // "": nothing was sealed yet
	Origin  string   `json:"log"`    // the newest
	Size    int64    `json:"size"`   // of the newest
	Earlier int      `json:"earlier_logs"`
	Wrong   []string `json:"wrong"`
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
	logs, err := exportedLogs(dir)
	if err != nil {
		return err
	}
	newest := logs[len(logs)-1]
	c, err := audit.ParseCheckpoint(newest.checkpoint, newest.key)
	if err != nil {
		return fmt.Errorf("%s: %w", newest.dir, err)
	}
	e.Folder, e.Origin, e.Size, e.Earlier = dir, c.Origin, c.Size, len(logs)-1
	return nil
}

// exportedLog is one log of an export, as far as it can be read without checking it.
type exportedLog struct {
	dir        string
	checkpoint []byte
	key        string
}

// exportedLogs lists the logs of an export, the oldest first. There is at least one.
func exportedLogs(dir string) ([]exportedLog, error) {
	numbers := exportedNumbers(dir)
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, audit.ErrNoExport)
	}
	slices.Sort(numbers)
	logs := make([]exportedLog, len(numbers))
	for i, n := range numbers {
		l := exportedLog{dir: filepath.Join(dir, strconv.Itoa(n))}
		key, err := os.ReadFile(filepath.Join(l.dir, "log.vkey"))
		if err != nil {
			return nil, err
		}
		if l.checkpoint, err = os.ReadFile(filepath.Join(l.dir, "checkpoint")); err != nil {
			return nil, err
		}
		l.key = string(bytes.TrimSpace(key))
		logs[i] = l
	}
	return logs, nil
}

// exportedNumbers lists the folders that are named by the number of a log.
func exportedNumbers(dir string) (numbers []int) {
	entries, _ := os.ReadDir(dir) // what cannot be read is no export
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= 0 && strconv.Itoa(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// isExport reports whether a folder is the export of the platform or of a tenant.
func isExport(dir string) bool { return len(exportedNumbers(dir)) > 0 }

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
	if e.Earlier > 0 {
		out.textf("      and %d logs before it", e.Earlier)
	}
}

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

func auditVerifyVerb() verb {
	return verb{
		name:  "audit verify",
		brief: "check that no entry of the audit logs was changed, deleted, inserted or moved",
		login: "the library login (--dsn), or read access to the directory (--data), or an export (--export). No key and no secret",
		more: `It changes nothing. It prints each log with its size, root and findings, and
exits with 1 when there is any. Entries that wait for the sealer count as a
finding unless --pending accepts them; with --pending and without --key an
erasure that waits is taken at its word. What the database alone cannot show:
another installation in place of this one shows against the platform's key, which
is printed, and which must be held elsewhere: --vkey. That everything was
rewritten, an end cut off or an old backup restored shows against an export that
was held elsewhere: --held.

Without a database it checks an export, --export, of one tenant or of all, or a
single entry, --proof: so a customer or an auditor can who has nothing else. What
was held from an earlier export is passed with --vkey and --checkpoint: the log must
have grown from there.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			v := &verification{}
			v.flags(fs, "library", envLibrary)
			fs.StringVar(&v.tenant, "tenant", "", "check one log only: the `ID` of a tenant, or the word platform")
			fs.DurationVar(&v.pending, "pending", 0, "accept entries that wait for the sealer for less than this `DURATION`, such as 1m;\ndefault: none")
			fs.StringVar(&v.key, "key", "", "the root key `FILE`, to check in addition who wrote the entries that wait; default: not checked")
			fs.StringVar(&v.vkey, "vkey", "", "the public `KEY` of the platform's log as it is held elsewhere, with --proof that of the entry's log;\ndefault: that of the platform in --held, else the one in the database or the export")
			fs.StringVar(&v.held, "held", "", "the `DIR` of an earlier audit export: each log must have grown from it, under the same key")
			fs.StringVar(&v.export, "export", "", "check the audit export in this `DIR` in place of a database")
			fs.Var(&v.checkpoints, "checkpoint", "with --export: a `FILE` that holds a checkpoint of an earlier export; may be repeated")
			fs.StringVar(&v.proof, "proof", "", "check the proof of an entry in this `FILE` in place of a database")
			return v.run
		},
	}
}

// verification is one call of the verb.
type verification struct {
	target

	tenant  string
	pending time.Duration
	key     string
	vkey    string
	held    string
	export  string
	proof   string
	source  source
	db      *tenancy.DB
	log     *audit.Log // nil without --key

	checkpoints values
}

// verdict is what became of one log.
type verdict struct {
	*audit.Report

	Tenant string   `json:"tenant"` // "platform" or the tenant's id
	OK     bool     `json:"ok"`
	Wrong  []string `json:"wrong"` // what is wrong beside the entries, or kept them from being checked
}

func (v *verification) run(ctx context.Context, out *output) (err error) {
	if v.export != "" || v.proof != "" || len(v.checkpoints) > 0 {
		return v.offline(ctx, out)
	}
	if err := v.resolve(); err != nil {
		return err
	}
	if v.tenant, err = checkTenant(v.tenant); err != nil {
		return err
	}
	if v.pending < 0 {
		return usagef("--pending must not be negative")
	}
	if v.source, err = openSource(ctx, &v.target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.source.close()) }()
	if v.db, err = readOnly(v.source); err != nil {
		return err
	}
	if v.key != "" {
		done, err := v.withKey(ctx)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		defer done()
	}
	return v.all(ctx, out)
}

func (v *verification) all(ctx context.Context, out *output) error {
	subjects, err := v.source.logs(ctx)
	if err != nil {
		return err
	}
	subjects, lost, err := v.heldLogs(subjects)
	if err != nil {
		return err
	}
	if err := v.heldKey(); err != nil {
		return err
	}
	if subjects, err = narrow(subjects, v.tenant); err != nil {
		return err
	}
	verdicts := []verdict{}
	bad := 0
	for _, s := range subjects {
		r := v.verify(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.OK {
			bad++
		}
		r.print(out)
		verdicts = append(verdicts, r)
	}
	for _, name := range lost {
		out.textf("BAD   %s\n      %s", name, "was exported and is none of the logs of this database")
	}
	v.printKey(out, verdicts)
	out.textf("%s", summary(verdicts, bad, len(lost)))
	err = out.value(struct {
		OK   bool      `json:"ok"`
		Logs []verdict `json:"logs"`
		Lost []string  `json:"lost"`
	}{bad+len(lost) == 0, verdicts, append([]string{}, lost...)})
	if err == nil && bad+len(lost) > 0 {
		err = errFindings
	}
	return err
}

// heldKey takes the platform's key from the export that --held names.
func (v *verification) heldKey() error {
	if v.vkey != "" || v.held == "" {
		return nil
	}
	dir := filepath.Join(v.held, platformName)
	if !isExport(dir) {
		return nil
	}
	logs, err := exportedLogs(dir)
	if err != nil {
		return fmt.Errorf("--held: %w", err)
	}
	v.vkey = logs[len(logs)-1].key
	return nil
}

// printKey says under which key of the platform all was checked.
func (v *verification) printKey(out *output, verdicts []verdict) {
	if v.vkey != "" {
		out.textf("platform's key, as it was held: %s", v.vkey)
		return
	}
	for _, r := range verdicts {
		if r.Report != nil && r.PlatformKey != "" {
			out.textf("platform's key, from this database: %s\n  hold it elsewhere, and pass it with --vkey", r.PlatformKey)
			return
		}
	}
}

// summary counts the logs in which anything was sealed or is wrong.
func summary(all []verdict, bad, lost int) string {
	n := 0
	for _, r := range all {
		if !r.OK || r.Report != nil && r.Origin != "" {
			n++
		}
	}
	text := fmt.Sprintf("%d of %d logs as they were sealed", n-bad, n)
	switch empty := len(all) - n; {
	case n == 0:
		text = "nothing was sealed yet"
	case empty > 0:
		text += fmt.Sprintf(", in %d nothing was sealed yet", empty)
	}
	if lost > 0 {
		text += fmt.Sprintf(", %d missing", lost)
	}
	return text
}

// verify checks one log.
func (v *verification) verify(ctx context.Context, s subject) verdict {
	out := verdict{Tenant: s.name(), Wrong: append([]string{}, s.wrong...)}
	o, err := v.options(s)
	if err == nil && !s.absent {
		out.Report, err = verifyLog(ctx, v.source, v.db, s.tenant, o)
	}
	if err != nil {
		out.Wrong = append(out.Wrong, "could not be checked: "+err.Error())
	}
	if out.Report != nil {
		out.Wrong = append(out.Wrong, v.overdue(out.Report)...)
	}
	out.OK = len(out.Wrong) == 0 && (out.Report == nil || out.Report.OK())
	return out
}

func (v *verification) overdue(r *audit.Report) []string {
	if r.Overdue == 0 {
		return nil
	}
	named := make([]string, len(r.OverdueIDs))
	for i, id := range r.OverdueIDs {
		named[i] = id.String()
	}
	lines := []string{fmt.Sprintf("%d of %d entries that wait for the sealer are older than %s or dated ahead, the oldest of %s (events %s): run the sealer, or accept them with --pending",
		r.Overdue, r.Pending, v.pending, r.OldestPending.Format(time.RFC3339), strings.Join(named, ", "))}
	if v.log == nil {
		lines = append(lines, "rows that were inserted behind the application's back look like them: --key tells which they are")
	}
	return lines
}

func (v *verification) options(s subject) (*audit.VerifyOptions, error) {
	o := &audit.VerifyOptions{MaxPending: v.pending, Log: v.log, PlatformKey: v.vkey}
	if v.held == "" {
		return o, nil
	}
	dir := filepath.Join(v.held, s.name())
	if !exists(dir) {
		return o, nil // the log is younger than the export
	}
	logs, err := exportedLogs(dir)
	if err != nil {
		return nil, fmt.Errorf("--held: %w", err)
	}
	for _, l := range logs {
		o.Checkpoints = append(o.Checkpoints, l.checkpoint)
	}
	o.Key = logs[len(logs)-1].key
	return o, nil
}

// heldLogs names the folders of the export that are no log of the database,
// and marks what must be looked at although it has no file.
func (v *verification) heldLogs(all []subject) ([]subject, []string, error) {
	if v.held == "" {
		return all, nil, nil
	}
	entries, err := os.ReadDir(v.held)
	if err != nil {
		return nil, nil, usagef("--held: %v", err)
	}
	var lost []string
	logs := 0
	for _, e := range entries {
		if !isExport(filepath.Join(v.held, e.Name())) {
			continue
		}
		logs++
		if s, err := narrow(all, e.Name()); v.tenant == "" && (err != nil || s[0].absent) {
			lost = append(lost, e.Name())
		}
	}
	if logs == 0 {
		return nil, nil, usagef("--held: %s is no export: it holds no folder of the platform or of a tenant with logs", v.held)
	}
	return all, lost, nil
}

// print says it for people.
func (r verdict) print(out *output) {
	mark := "ok "
	if !r.OK {
		mark = "BAD"
	}
	out.textf("%s   %s", mark, r.Tenant)
	for _, text := range r.Wrong {
		out.textf("      %s", text)
	}
	if r.Report == nil {
		if r.OK {
			out.textf("      no file yet: nothing was ever written")
		}
		return
	}
	r.printLog(out)
	if r.ErasedPending > 0 {
		out.textf("      erased parts whose entry of erasure waits for the sealer: %d", r.ErasedPending)
	}
	for _, f := range r.Findings {
		out.textf("      %s", describe(f))
	}
	if r.More > 0 {
		out.textf("      … and %d findings more", r.More)
	}
}

func (r verdict) printLog(out *output) {
	at := r.At.Format(time.RFC3339)
	if r.Origin == "" {
		out.textf("      no log: nothing was sealed yet; pending %d; checked %s", r.Pending, at)
		return
	}
	out.textf("      log  %s", r.Origin)
	out.textf("      root %s", base64.StdEncoding.EncodeToString(r.Root))
	out.textf("      size %d, erased parts %d, pending %d; checked %s up to entry %d", r.Size, r.Erased, r.Pending, at, r.Size-1)
}

func describe(f audit.Finding) string {
	text := string(f.Kind) + ": " + f.Text
	if f.EventID != [16]byte{} {
		text += " (event " + f.EventID.String() + ")"
	}
	return text
}

// withKey opens the keystore, to check who wrote what waits for the sealer.
func (v *verification) withKey(ctx context.Context) (done func(), err error) {
	root, err := keyring.KeyFile(v.key)
	if err != nil {
		return nil, err
	}
	store, done, err := v.keystore(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.New(root, store, nil)
	if err == nil {
		v.log, err = audit.New(ring, nil)
	}
	if err != nil {
		done()
	}
	return done, err
}

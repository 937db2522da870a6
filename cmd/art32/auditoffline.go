package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// maxHeld is how many bytes of a file that is held are read: more than a proof or a
// checkpoint has.
const maxHeld = 1 << 20

// offline checks what needs no database.
func (v *verification) offline(ctx context.Context, out *output) error {
	switch {
	case v.data != "" || v.dsn != "" || v.held != "" || v.key != "" || v.pending != 0:
		return usagef("--export and --proof go without --data, --dsn, --held, --key and --pending")
	case v.export != "" && v.proof != "":
		return usagef("--export and --proof exclude each other")
	case v.proof != "":
		return v.verifyProof(out)
	case v.export == "":
		return usagef("--checkpoint belongs to --export")
	}
	return v.verifyExports(ctx, out)
}

// exportVerdict is what became of the export of the platform or of a tenant.
type exportVerdict struct {
	*audit.ExportReport

	Name   string   `json:"name"` // "platform" or the tenant's id
	Folder string   `json:"folder"`
	OK     bool     `json:"ok"`
	Wrong  []string `json:"wrong"` // what kept it from being checked
}

// verifyExports checks the export of one, or of all that a folder holds.
func (v *verification) verifyExports(ctx context.Context, out *output) (err error) {
	if v.tenant, err = checkTenant(v.tenant); err != nil {
		return err
	}
	exports, err := v.exports()
	if err != nil {
		return err
	}
	held, err := v.heldNotes(len(exports))
	if err != nil {
		return err
	}
	verdicts := []exportVerdict{}
	bad, key := 0, v.vkey
	for _, dir := range exports {
		r := v.verifyExport(ctx, dir, key, held)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.OK {
			bad++
		} else if r.Name == platformName && key == "" {
			key = r.PlatformKey // what the tenants' exports say of it must fit
		}
		r.print(out)
		verdicts = append(verdicts, r)
	}
	printExportKey(out, v.vkey, verdicts)
	out.textf("%d of %d exports as they were sealed", len(verdicts)-bad, len(verdicts))
	err = out.value(struct {
		OK      bool            `json:"ok"`
		Exports []exportVerdict `json:"exports"`
	}{bad == 0, verdicts})
	if err == nil && bad > 0 {
		err = errFindings
	}
	return err
}

// exports lists the folders to be checked, that of the platform first.
func (v *verification) exports() ([]string, error) {
	if isExport(v.export) {
		return []string{v.export}, nil
	}
	if v.tenant != "" {
		return []string{filepath.Join(v.export, v.tenant)}, nil
	}
	entries, err := os.ReadDir(v.export)
	if err != nil {
		return nil, usagef("--export: %v", err)
	}
	var all []string
	for _, e := range entries {
		if dir := filepath.Join(v.export, e.Name()); isExport(dir) {
			all = append(all, dir)
		}
	}
	if len(all) == 0 {
		return nil, usagef("--export: %s is no export: it holds no folder of a log", v.export)
	}
	if i := slices.Index(all, filepath.Join(v.export, platformName)); i > 0 {
		all[0], all[i] = all[i], all[0]
		slices.Sort(all[1:])
	}
	return all, nil
}

// heldNotes reads the checkpoints that are held.
func (v *verification) heldNotes(exports int) ([][]byte, error) {
	if len(v.checkpoints) > 0 && exports != 1 {
		return nil, usagef("--checkpoint needs the export of one: name it with --tenant")
	}
	var all [][]byte
	for _, name := range v.checkpoints {
		note, err := readHeld(name)
		if err != nil {
			return nil, usagef("--checkpoint: %v", err)
		}
		all = append(all, note)
	}
	return all, nil
}

// readHeld reads a file that is held.
func readHeld(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxHeld))
}

// verifyExport checks one folder. Its name, where it is one, says whose it must be.
func (v *verification) verifyExport(ctx context.Context, dir, key string, held [][]byte) exportVerdict {
	out := exportVerdict{Name: v.tenant, Folder: dir, Wrong: []string{}}
	base := filepath.Base(filepath.Clean(dir))
	if _, err := tenancy.ParseID(base); out.Name == "" && (err == nil || base == platformName) {
		out.Name = base
	}
	o := &audit.ExportOptions{PlatformKey: key, Checkpoints: held}
	if id, err := tenancy.ParseID(out.Name); err == nil {
		o.Tenant = id
	}
	r, err := audit.VerifyExport(ctx, dir, o)
	if err != nil {
		out.Wrong = append(out.Wrong, "could not be checked: "+err.Error())
		return out
	}
	out.ExportReport = r
	if out.Name == "" {
		out.Name = nameOf(r.Tenant)
	}
	if out.Name != nameOf(r.Tenant) {
		out.Wrong = append(out.Wrong, "it is the export of "+nameOf(r.Tenant))
	}
	out.OK = r.OK() && len(out.Wrong) == 0
	return out
}

func (r *exportVerdict) print(out *output) {
	mark := "ok "
	if !r.OK {
		mark = "BAD"
	}
	out.textf("%s   %s", mark, r.Name)
	for _, text := range r.Wrong {
		out.textf("      %s", text)
	}
	if r.ExportReport == nil {
		return
	}
	for _, l := range r.Logs {
		out.textf("      log %d  %s", l.Number, l.Origin)
		text := fmt.Sprintf("size %d, root %s", l.Size, base64.StdEncoding.EncodeToString(l.Root))
		if l.Dropped {
			text += "; its entries were dropped"
		}
		if l.Cause != "" {
			text += fmt.Sprintf("; it followed because of a %s", l.Cause)
		}
		if l.Lost > 0 {
			text += fmt.Sprintf("; %d entries behind it were lost with a restore", l.Lost)
		}
		out.textf("             %s", text)
	}
	out.textf("      checked %d entries %s", r.Checked, r.At.Format(time.RFC3339))
	for _, f := range r.Findings {
		text := describe(f)
		if len(r.Logs) > 1 && f.Log != "" {
			text += " in " + f.Log
		}
		out.textf("      %s", text)
	}
	if r.More > 0 {
		out.textf("      … and %d findings more", r.More)
	}
}

// printExportKey says under which key of the platform all was checked.
func printExportKey(out *output, held string, verdicts []exportVerdict) {
	if held != "" {
		out.textf("platform's key, as it was held: %s", held)
		return
	}
	for _, r := range verdicts {
		if r.ExportReport != nil && r.PlatformKey != "" {
			out.textf("platform's key, from this export: %s\n  hold it elsewhere, and pass it with --vkey", r.PlatformKey)
			return
		}
	}
}

// proven is what the proof of an entry has shown.
type proven struct {
	OK      bool      `json:"ok"`
	Wrong   string    `json:"wrong,omitzero"`
	Log     string    `json:"log,omitzero"`
	Index   int64     `json:"index"`
	Size    int64     `json:"size"` // entries that the checkpoint covers
	Event   string    `json:"event,omitzero"`
	At      time.Time `json:"at,omitzero"`
	Actor   string    `json:"actor,omitzero"`
	Action  string    `json:"action,omitzero"`
	Object  string    `json:"object,omitzero"`
	Outcome string    `json:"outcome,omitzero"`
}

// verifyProof checks the proof of one entry.
func (v *verification) verifyProof(out *output) error {
	if v.vkey == "" || v.tenant != "" || len(v.checkpoints) > 0 {
		return usagef("--proof needs --vkey, the public key of the entry's log (log.vkey of its export), and nothing else")
	}
	text, err := readHeld(v.proof)
	if err != nil {
		return usagef("--proof: %v", err)
	}
	entry, err := audit.VerifyProof(text, v.vkey)
	p := proven{OK: err == nil}
	if err != nil {
		p.Wrong = err.Error()
		out.textf("BAD   %s", p.Wrong)
	} else {
		p.take(entry)
		p.print(out)
	}
	if err := out.value(p); err != nil || p.OK {
		return err
	}
	return errFindings
}

func (p *proven) take(e audit.Proven) {
	l := e.Leaf
	p.Log, p.Index, p.Size = e.Checkpoint.Origin, e.Index, e.Checkpoint.Size
	p.Event, p.At, p.Actor, p.Action, p.Outcome = l.Event.String(), l.At, l.Actor, l.Action, "done"
	if l.Outcome == tenancy.Refused {
		p.Outcome = "refused"
	}
	if l.Object != [16]byte{} {
		p.Object = l.Object.String()
	}
}

func (p *proven) print(out *output) {
	out.textf("ok    entry %d of %s, as it was sealed under a checkpoint of %d entries", p.Index, p.Log, p.Size)
	out.textf("      event   %s", p.Event)
	out.textf("      at      %s", p.At.Format(time.RFC3339Nano))
	out.textf("      actor   %s", line(p.Actor))
	out.textf("      action  %s, %s", line(p.Action), p.Outcome)
	if p.Object != "" {
		out.textf("      object  %s", p.Object)
	}
}

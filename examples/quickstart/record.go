package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/art32/art32/tenancy"
)

// record issues the record of the erasure and has it checked as its reader would.
func (s *story) record(ctx context.Context) error {
	s.title("The erasure has a signed record for Nordlicht, which anybody can check.")
	why := tenancy.WithReason(s.atNorth(ctx), "request under Art. 17 GDPR, passed on by Nordlicht")
	r, err := s.db.ErasureRecord(why, s.doerte)
	if err != nil {
		return err
	}
	dir := away(s.dir, "record-"+r.ID.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"record.json": r.Text, "record.json.sig": r.Signature, "record.de.md": []byte(r.German()), "record.en.md": []byte(r.English()),
		"allowed": []byte("erasure " + r.Signer + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	for _, t := range r.Tables {
		s.shownf("%s: unreadable %v, only deleted %v, kept %v", t.Name, t.Unreadable, t.Deleted, t.Kept)
	}
	s.shownf("a copy of the keystore could bring the key back until %s", r.Horizon.Format(time.RFC3339))
	if _, err := tenancy.VerifyErasureRecord(r.Signer, r.Text, r.Signature); err != nil {
		return err
	}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		s.shownf("its signature holds")
		return nil //nolint:nilerr // it is not installed
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "verify", "-q", "-f", "allowed", "-I", "erasure", "-n", "art32-erasure", "-s", "record.json.sig")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(r.Text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen refuses the record: %w: %s", err, out)
	}
	s.shownf("its signature holds: ssh-keygen accepts it")
	return nil
}

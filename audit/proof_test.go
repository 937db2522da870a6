package audit_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
)

// A proof of an entry needs the log's public key and nothing else, and is the same
// from the database and from an export.
func TestProve(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 300)
		w.renew(t, w.a, rotation)
		w.sealed(t, 5)
		dir := filepath.Join(t.TempDir(), "export")
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		report, err := audit.VerifyExport(t.Context(), dir, nil)
		must(t, err)
		n := 0
		for e, err := range w.log.Events(w.in(t.Context(), w.a), w.db, audit.Filter{}) {
			must(t, err)
			log := report.Logs[0]
			if e.Index >= 300 {
				log = report.Logs[1]
			}
			if n++; n%17 != 0 && e.Index < 299 {
				continue
			}
			text, err := audit.Prove(t.Context(), w.db, w.a, e.ID)
			must(t, err)
			p, err := audit.VerifyProof(text, log.Key+"\n")
			must(t, err)
			if p.Index != e.Index-log.First || p.Leaf.Event != e.ID || p.Leaf.Action != e.Action || p.Checkpoint.Size != log.Size {
				t.Errorf("entry %d: got %+v", e.Index, p)
			}
			number, err := audit.FindExported(t.Context(), dir, e.ID)
			must(t, err)
			again, err := audit.ProveExported(dir, number)
			must(t, err)
			if number != e.Index || !bytes.Equal(again, text) {
				t.Errorf("entry %d: from the export, as %d:\n%s\n%s", e.Index, number, again, text)
			}
		}
		if n != 307 {
			t.Errorf("%d events", n)
		}
	})
}

func TestProveRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, err := audit.Prove(ctx, w.db, w.a, uuid.New())
		wantErr(t, err, audit.ErrNoEntry)
		w.sealed(t, 3)
		dir := filepath.Join(t.TempDir(), "export")
		must(t, audit.Export(ctx, w.db, w.a, dir))
		w.customers(t, 1)
		for e, err := range w.log.Events(w.in(ctx, w.a), w.db, audit.Filter{}) {
			must(t, err)
			if !e.Sealed {
				_, err = audit.Prove(ctx, w.db, w.a, e.ID)
				wantErr(t, err, audit.ErrNoEntry)
				_, err = audit.FindExported(ctx, dir, e.ID)
				wantErr(t, err, audit.ErrNoEntry)
			}
			_, err = audit.Prove(ctx, w.db, w.b, e.ID) // of another tenant
			wantErr(t, err, audit.ErrNoEntry)
		}
		for _, n := range []int64{-1, 3, 1 << 62} {
			_, err = audit.ProveExported(dir, n)
			wantErr(t, err, audit.ErrNoEntry)
		}
		_, err = audit.ProveExported(t.TempDir(), 0)
		wantErr(t, err, audit.ErrNoExport)
		event := w.entries(w.in(ctx, w.a), t, audit.Filter{})[1].ID
		w.raw(t, `UPDATE art32.events SET actor = 'x' WHERE leaf = 1 AND tenant_id = TENANT`)
		_, err = audit.Prove(ctx, w.db, w.a, event)
		wantErr(t, err, audit.ErrDamaged)
	})
}

// Whatever is changed in a proof, it is not valid any more.
func TestVerifyProofRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	log := audit.NewTestLog(t, 1, uuid.New())
	log.Fill(t, 11)
	good := log.Prove(t, 6)
	p, err := audit.VerifyProof(good, log.Vkey)
	must(t, err)
	if p.Index != 6 || p.Leaf.Log != log.ID || p.Checkpoint != log.Head(t, 11) {
		t.Fatalf("got %+v", p)
	}
	for at := range good {
		for _, bit := range []byte{1, 32} {
			bad := bytes.Clone(good)
			bad[at] ^= bit
			if _, err := audit.VerifyProof(bad, log.Vkey); err == nil {
				t.Errorf("byte %d: %q passes for %q", at, bad[at], good[at])
			} else {
				wantErr(t, err, audit.ErrProof)
			}
		}
	}
	for name, bad := range map[string]string{
		"empty":            "",
		"cut":              string(good[:len(good)-1]),
		"longer":           string(good) + "\n",
		"other index":      strings.Replace(string(good), "index 6", "index 7", 1),
		"index with zero":  strings.Replace(string(good), "index 6", "index 06", 1),
		"negative index":   strings.Replace(string(good), "index 6", "index -6", 1),
		"without an extra": strings.Replace(string(good), "extra ", "xtra ", 1),
		"CRLF":             strings.ReplaceAll(string(good), "\n", "\r\n"),
		"many hashes":      strings.Replace(string(good), "index 6\n", "index 6\n"+strings.Repeat(strings.Repeat("A", 43)+"=\n", 70), 1),
		"huge":             string(good) + strings.Repeat("x", 1<<20),
	} {
		if _, err := audit.VerifyProof([]byte(bad), log.Vkey); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	other := audit.NewTestLog(t, 2, uuid.New())
	for _, key := range []string{other.Vkey, "", "x", strings.Replace(log.Vkey, log.ID.String(), other.ID.String(), 1)} {
		_, err := audit.VerifyProof(good, key)
		wantErr(t, err, audit.ErrProof)
	}
	// The key of the log signs what is no leaf of it.
	log.Leaves = append(log.Leaves, other.Leaves...)
	other.Fill(t, 1)
	log.Leaves = append(log.Leaves, other.Leaves[0])
	_, err = audit.VerifyProof(log.Prove(t, 11), log.Vkey)
	wantErr(t, err, audit.ErrProof)
}

func FuzzParseProof(f *testing.F) {
	log := audit.NewTestLog(f, 1, uuid.Nil)
	log.Fill(f, 5)
	f.Add(log.Prove(f, 3))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n\na\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a AAAA\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 9223372036854775807\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := audit.ParseTestProof(b); err == nil && !bytes.Equal(text, b) {
			t.Errorf("%q is written as %q", b, text)
		}
		if p, err := audit.VerifyProof(b, log.Vkey); err == nil && !bytes.Equal(b, log.Prove(t, int(p.Index))) {
			t.Errorf("a second proof: %q", b)
		}
	})
}

package tenancy_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/sshsig"
	"github.com/art32/art32/tenancy"
)

var update = flag.Bool("update", false, "rewrite the texts of the golden records")

// library admits tests to what the library's own packages may.
var library = engine.Library

// goldenKey signs the golden records.
func goldenKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x32}, ed25519.SeedSize))
}

// goldenRecords are records with every member, and with as few as can be.
func goldenRecords() map[string]*tenancy.ErasureRecord {
	erased := time.Date(2026, 11, 23, 8, 30, 0, 125000000, time.UTC)
	subject := &tenancy.ErasureRecord{
		Format: "art32-erasure-record", Version: 1, ID: uuid.MustParse("0191e6a0-0000-7000-8000-000000000001"), Kind: "data-subject",
		Controller:  tenancy.RecordController{ID: uuid.MustParse("0191e6a0-0000-7000-8000-000000000002"), Name: "Nordlicht GmbH & Co. KG"},
		DataSubject: uuid.MustParse("0191e6a0-0000-7000-8000-000000000003"),
		ErasedAt:    erased, IssuedAt: erased.Add(90 * time.Minute), IssuedBy: "person:0191e6a0-0000-7000-8000-000000000004",
		Reason: "Weisung 2026-17",
		Tables: []tenancy.RecordTable{
			{Name: "customers", Rows: 1, Unreadable: []string{"name", "email"}, Deleted: []string{"city"}, Indexes: []string{"email_bidx"}, Kept: []string{"id", "tenant_id", "plan"}},
			{Name: "billing.invoices", Rows: 12, Unreadable: []string{}, Deleted: []string{}, Indexes: []string{}, Kept: []string{"id", "tenant_id", "customer_id", "amount"}},
		},
		Untouched: []string{"plans"},
		Log:       &tenancy.LogRemains{Emptied: []string{"payload"}, Kept: []string{"id", "time", "actor", "digest"}},
		Ledger:    true,
		Copies:    []tenancy.RecordCopy{{Name: "vault", LifeSeconds: 14 * 86400}, {Name: "WAL archive", LifeSeconds: 36 * 3600}},
		Horizon:   erased.Add(14*24*time.Hour + 5*time.Minute), CacheSeconds: 300,
		Files: tenancy.RecordFiles{Engine: "postgres", UntilRewritten: true, InLog: true},
		Build: tenancy.RecordBuild{Program: "example.org/saas", Version: "v1.4.2", Revision: "5ac1a8f4d1c0b6e2", Modified: true},
	}
	tenant := &tenancy.ErasureRecord{
		Format: "art32-erasure-record", Version: 1, ID: uuid.MustParse("0191e6a0-0000-7000-8000-000000000005"), Kind: "tenant",
		Controller: subject.Controller, ErasedAt: erased, IssuedAt: erased, IssuedBy: "service:offboarding",
		Tables: []tenancy.RecordTable{}, Untouched: []string{}, Copies: []tenancy.RecordCopy{}, Horizon: erased,
		Files: tenancy.RecordFiles{Engine: "sqlite", Overwritten: true, LogEmptied: true},
	}
	return map[string]*tenancy.ErasureRecord{"subject": subject, "tenant": tenant}
}

// TestGoldenRecords: records of this version are written byte for byte as before,
// and those that were issued are read for ever.
func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	for name, r := range goldenRecords() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signed, err := r.Sign(goldenKey())
			must(t, err)
			dir := filepath.Join("testdata", "erasure-record", "v1", name)
			if _, err := os.Stat(filepath.Join(dir, "record.json")); errors.Is(err, os.ErrNotExist) && *update {
				must(t, os.MkdirAll(dir, 0o755))
				must(t, os.WriteFile(filepath.Join(dir, "record.json"), signed.Text, 0o644))
				must(t, os.WriteFile(filepath.Join(dir, "record.json.sig"), signed.Signature, 0o644))
			}
			text, sig := file(t, dir, "record.json"), file(t, dir, "record.json.sig")
			if diff := cmp.Diff(string(text), string(signed.Text)); diff != "" {
				t.Errorf("the form has changed (-golden +now):\n%s", diff)
			}
			if !bytes.Equal(sig, signed.Signature) {
				t.Error("the signature has changed")
			}
			read, err := tenancy.VerifyErasureRecord(r.Signer, text, sig)
			must(t, err)
			if diff := cmp.Diff(r, read); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
			must(t, sshVerify(t, r.Signer, text, sig))
			for file, text := range map[string]string{"record.de.md": r.German(), "record.en.md": r.English()} {
				goldenText(t, filepath.Join(dir, file), text)
			}
		})
	}
}

func file(tb testing.TB, elem ...string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	must(tb, err)
	return text
}

// goldenText compares a text whose wording may improve.
func goldenText(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	if diff := cmp.Diff(string(file(t, path)), got); diff != "" {
		t.Errorf("%s (-golden +now):\n%s", path, diff)
	}
}

func TestVerifyErasureRecord(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	r := goldenRecords()["subject"]
	signed, err := r.Sign(goldenKey())
	must(t, err)
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x33}, ed25519.SeedSize))
	stranger := sshsig.FormatSigner(other.Public().(ed25519.PublicKey))
	changed := bytes.Replace(signed.Text, []byte("customers"), []byte("customerz"), 1)
	for name, c := range map[string]struct {
		signer    string
		text, sig []byte
	}{
		"changed":           {r.Signer, changed, signed.Signature},
		"other signer":      {stranger, signed.Text, signed.Signature},
		"no signer":         {"", signed.Text, signed.Signature},
		"no signature":      {r.Signer, signed.Text, nil},
		"signed by another": {stranger, signed.Text, sshsig.Sign(other, "art32-erasure", signed.Text)},
		"other purpose":     {r.Signer, signed.Text, sshsig.Sign(goldenKey(), "art32-backup", signed.Text)},
		"no record":         {r.Signer, []byte("{}\n"), sshsig.Sign(goldenKey(), "art32-erasure", []byte("{}\n"))},
	} {
		if got, err := tenancy.VerifyErasureRecord(c.signer, c.text, c.sig); !errors.Is(err, tenancy.ErrRecord) || got != nil {
			t.Errorf("%s: %v, want ErrRecord", name, err)
		}
	}
}

// TestParseErasureRecord: there is one form, and a value that makes no sense is
// refused.
func TestParseErasureRecord(t *testing.T) {
	t.Parallel()
	signed, err := goldenRecords()["subject"].Sign(goldenKey())
	must(t, err)
	text := string(signed.Text)
	for name, replace := range map[string][2]string{
		"format":           {`"art32-erasure-record"`, `"art32-erasure-recor"`},
		"version":          {`"version": 1`, `"version": 2`},
		"unknown member":   {`"version": 1,`, `"version": 1, "more": 2,`},
		"twice":            {`"version": 1,`, `"version": 1, "version": 1,`},
		"blank":            {`"version": 1`, `"version":  1`},
		"order":            {"\"format\": \"art32-erasure-record\",\n  \"version\": 1", "\"version\": 1,\n  \"format\": \"art32-erasure-record\""},
		"kind":             {`"data-subject"`, `"tenant"`},
		"no kind":          {`"data-subject"`, `""`},
		"id":               {`"0191e6a0-0000-7000-8000-000000000001"`, `"00000000-0000-0000-0000-000000000000"`},
		"actor":            {`"person:0191e6a0`, `"Person:0191e6a0`},
		"time":             {`"2026-11-23T08:30:00.125Z"`, `"0001-01-01T00:00:00Z"`},
		"horizon":          {`"2026-12-07T08:35:00.125Z"`, `"2026-11-07T08:35:00.125Z"`},
		"no number":        {`"rows": 12`, `"rows": "12"`},
		"negative":         {`"rows": 12`, `"rows": -12`},
		"life":             {`"life_seconds": 129600`, `"life_seconds": -1`},
		"table":            {`"billing.invoices"`, `"billing invoices"`},
		"column":           {`"amount"`, `"a b"`},
		"null list":        {`"deleted": []`, `"deleted": null`},
		"untouched":        {`"plans"`, `"p l"`},
		"copy":             {`"WAL archive"`, `""`},
		"engine":           {`"postgres"`, `""`},
		"signer":           {`ssh-ed25519 AAAA`, `ssh-ed25519 BAAA`},
		"behind":           {"\n}\n", "\n}\n\n"},
		"something behind": {"\n}\n", "\n}\n{}\n"},
		"no end":           {"\n}\n", "\n}"},
	} {
		changed := strings.Replace(text, replace[0], replace[1], 1)
		if changed == text {
			t.Errorf("%s: the test changes nothing", name)
		}
		if r, err := tenancy.ParseErasureRecord([]byte(changed)); !errors.Is(err, tenancy.ErrRecord) || r != nil {
			t.Errorf("%s: %v, want ErrRecord", name, err)
		}
	}
}

func FuzzParseErasureRecord(f *testing.F) {
	for _, r := range goldenRecords() {
		signed, err := r.Sign(goldenKey())
		must(f, err)
		f.Add(signed.Text)
	}
	f.Add([]byte("{}"))
	f.Add([]byte(`{"format":"art32-erasure-record","version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := tenancy.ParseErasureRecord(text)
		if err != nil {
			if !errors.Is(err, tenancy.ErrRecord) {
				t.Errorf("%v", err)
			}
			return
		}
		signed, err := r.Sign(goldenKey())
		must(t, err)
		if _, err := tenancy.VerifyErasureRecord(signed.Signer, signed.Text, signed.Signature); err != nil {
			t.Errorf("what was read cannot be issued again: %v", err)
		}
		_, _ = r.German(), r.English()
	})
}

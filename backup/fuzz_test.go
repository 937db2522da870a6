package backup_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/art32/art32/backup"
)

// seeds are files of the golden backup.
func seeds(f *testing.F, pattern string) [][]byte {
	f.Helper()
	paths, err := filepath.Glob("testdata/v1/" + pattern)
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	var all [][]byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func FuzzManifest(f *testing.F) {
	for _, s := range seeds(f, "target/*/MANIFEST.json") {
		f.Add(s)
		f.Add(bytes.Replace(s, []byte(`"number": 1`), []byte(`"number": 0`), 1))
		f.Add(bytes.Replace(s, []byte(`"sqlite"`), []byte(`"sqlite\u001b[2J"`), 1))
		f.Add(append(s, s...))
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := backup.ParseManifest(text)
		if err != nil {
			wantErr(t, err, backup.ErrDamaged)
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		same, err := backup.ParseManifest(again)
		if err != nil {
			t.Fatalf("what was read is refused: %v\n%s", err, again)
		}
		if twice, _ := json.Marshal(same); !bytes.Equal(again, twice) {
			t.Errorf("%s\nis read as\n%s", again, twice)
		}
	})
}

func FuzzLedger(f *testing.F) {
	for _, s := range seeds(f, "vault-a/erasures.jsonl") {
		f.Add(s)
		f.Add(bytes.TrimSpace(s))
		f.Add(append(s, s...))
		f.Add(append(bytes.Clone(s), `{"n":2,`...))
	}
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		state, size, err := backup.ParseChain(text)
		if err != nil {
			wantErr(t, err, backup.ErrLedger)
			return
		}
		if size > int64(len(text)) || size < int64(len(text)) && bytes.IndexByte(text[size:], '\n') >= 0 {
			t.Fatalf("%d of %d bytes count", size, len(text))
		}
		if n := bytes.Count(text[:size], []byte("\n")); int64(n) != state.Entries {
			t.Errorf("%d lines are %d entries", n, state.Entries)
		}
		for line := range bytes.Lines(text[:size]) {
			if err := backup.ParseEntry(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				t.Errorf("a line of the ledger is no entry: %v", err)
			}
		}
		if whole, _, err := backup.ParseChain(text[:size]); err != nil || whole != state {
			t.Errorf("what counts is read as %+v, %v; want %+v", whole, err, state)
		}
	})
}

func FuzzSignature(f *testing.F) {
	signer := seeds(f, "signer.pub")[0]
	text := seeds(f, "target/*/MANIFEST.json")[0]
	for _, s := range seeds(f, "target/*/MANIFEST.json.sig") {
		f.Add(s)
		if err := backup.VerifySignature(string(signer), text, s); err != nil {
			f.Fatalf("the golden signature: %v", err)
		}
	}
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, armored []byte) {
		if err := backup.VerifySignature(string(signer), append(text, ' '), armored); err == nil {
			t.Fatal("a signature over another text is accepted")
		}
	})
}

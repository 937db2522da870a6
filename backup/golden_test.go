package backup_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/crypto/field"
)

var update = flag.Bool("update", false, "make testdata/v1 anew, once for each version of the format")

// A backup of format v1 is restored by every later version. Its tenant has two
// customers of whom one was erased after it.
func TestGoldenV1(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	if *update {
		makeGolden(t, "testdata/v1")
	}
	root := copyDir(t, "testdata/v1")
	w := &world{root: root, target: filepath.Join(root, "target"),
		vaults: []string{filepath.Join(root, "vault-a"), filepath.Join(root, "vault-b")}}
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		must(t, err)
		return strings.TrimSpace(string(b))
	}
	for line := range strings.FieldsSeq(text("identities.txt")) {
		id, err := age.ParseX25519Identity(line)
		must(t, err)
		w.ops = append(w.ops, id)
	}
	must(t, w.a.UnmarshalText([]byte(text("tenant.txt"))))
	var err error
	w.to, err = openTarget(w.target)
	must(t, err)
	defer w.to.Close()
	committed, _ := w.list(t)
	if len(committed) != 1 {
		t.Fatalf("runs: %v", committed)
	}
	o := w.restoreOptionsOf(t, text("signer.pub"))
	res, dir, err := w.restore(t, committed[0], o)
	must(t, err)
	if res.Erased != 1 || res.Tenants != 1 {
		t.Errorf("result: %+v", res)
	}
	want := strings.Split(text("customers.txt"), "\n")
	if diff := cmp.Diff(want, w.elsewhere(t, dir).everybody(t, w.a)); diff != "" {
		t.Errorf("customers (-want +got):\n%s", diff)
	}
}

func makeGolden(t *testing.T, dir string) {
	t.Helper()
	w := layOut(t, t.TempDir())
	w.open(t)
	w.a = w.tenant(t)
	people := w.add(t, w.a, 2)
	w.run(t)
	must(t, w.db.Erase(in(t.Context(), w.a), people[1].ID))
	texts := map[string]string{
		"identities.txt": w.ops[0].String() + "\n" + w.ops[1].String(), "tenant.txt": w.a.String(), "signer.pub": w.job.Signer(),
		"customers.txt": strings.Join(w.everybody(t, w.a), "\n"),
	}
	for name, text := range texts {
		must(t, os.WriteFile(filepath.Join(w.root, name), []byte(text+"\n"), 0o600))
	}
	if !strings.Contains(texts["customers.txt"], field.ErrErased.Error()) {
		t.Fatal("nobody was erased")
	}
	w.close()
	must(t, os.RemoveAll(w.data))
	must(t, os.RemoveAll(dir))
	must(t, os.CopyFS(dir, os.DirFS(w.root)))
}

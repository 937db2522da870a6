package blob_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy/blob"
)

// bad is no reference.
const bad = blob.Ref("a32b1.AAAA")

func TestRefRefused(t *testing.T) {
	t.Parallel()
	good := goldenRefs(t)[0].Ref
	for _, r := range []blob.Ref{"", "a32b1.", bad, good + "A", good + "=", good[1:], good + "\n", good[:50] + "\n" + good[50:], "a32b2." + good[6:], "a32b1." + blob.Ref(strings.Repeat("_", 96))} {
		if _, err := r.Parts(); err == nil {
			t.Errorf("%q is taken", string(r))
		}
		if s := r.String(); s != "blob:" {
			t.Errorf("shows %q", s)
		}
	}
}

func FuzzRef(f *testing.F) {
	f.Add("a32b1.AAAA")
	f.Add(string(goldenRefs(f)[0].Ref))
	f.Fuzz(func(t *testing.T, text string) {
		r := blob.Ref(text)
		if p, err := r.Parts(); err == nil && (p.Size < 0 || p.Size > field.MaxStream || len(p.Key) != field.KeySize) {
			t.Errorf("%d, %d", p.Size, len(p.Key))
		}
	})
}

type golden struct {
	Ref            blob.Ref `json:"-"`
	Text           string   `json:"ref"`
	Object, Tenant string
	Size           int64
	Key            string // hexadecimal
	Table          string
	Content        string // hexadecimal
	Stored         string // base64
}

func goldenRefs(tb testing.TB) []golden {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "blob-v1.json"))
	must(tb, err)
	var all []golden
	must(tb, json.Unmarshal(data, &all))
	if len(all) < 2 {
		tb.Fatal("no vectors")
	}
	for i := range all {
		all[i].Ref = blob.Ref(all[i].Text)
	}
	return all
}

// TestGolden: references and objects of every released format open for ever.
func TestGolden(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, v := range goldenRefs(t) {
		p, err := v.Ref.Parts()
		must(t, err)
		if p.Object != v.Object || p.Tenant != v.Tenant || p.Size != v.Size || hex.EncodeToString(p.Key) != v.Key {
			t.Errorf("%s %s %d", p.Object, p.Tenant, p.Size)
		}
		stored, err := base64.StdEncoding.DecodeString(v.Stored)
		must(t, err)
		r, err := v.Ref.OpenWith(bytes.NewReader(stored), int64(len(stored)), v.Table)
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		if hex.EncodeToString(got) != v.Content || int64(len(got)) != v.Size {
			t.Errorf("content %x", got)
		}
	}
}

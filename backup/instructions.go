package backup

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
)

// Names of the texts beside the parts.
const (
	restoreText   = "RESTORE.md"
	restoreScript = "restore.sh"
)

//go:embed restore.md
var restoreMD string

//go:embed restore.sh
var restoreSH string

// Instructor is what a [Snapshot] may offer beyond: the steps of a restore by
// hand that belong to its engine.
type Instructor interface {
	// Instructions are Markdown in German and in English without headings above
	// the fourth level. They begin where the parts are unpacked: OUT/shared,
	// OUT/keystore and OUT/tenants/*, a folder for each tenant.
	Instructions() (de, en string)
}

// texts writes the instructions beside the parts.
func (r *run) texts(ctx context.Context, snap Snapshot) error {
	var de, en string
	if i, ok := snap.(Instructor); ok {
		de, en = i.Instructions()
	}
	for _, t := range []struct{ name, text string }{{restoreText, r.instructions(de, en)}, {restoreScript, restoreSH}} {
		f, err := r.put(ctx, t.name, []byte(t.text))
		if err != nil {
			return err
		}
		r.manifest.Texts = append(r.manifest.Texts, f)
	}
	r.step("texts")
	return nil
}

func (r *run) instructions(de, en string) string {
	m := &r.manifest
	var excluded []string
	for _, e := range m.Excluded {
		excluded = append(excluded, "`"+e.Table+"` ("+e.Reason+")")
	}
	return strings.NewReplacer(
		"{{RUN}}", m.Run, "{{ENGINE}}", m.Engine, "{{SIGNER}}", m.Signer, "{{KEYSTORE}}", m.Keystore.Name,
		"{{ENTRIES}}", strconv.FormatInt(m.Ledger.Entries, 10), "{{HEAD}}", m.Ledger.Head,
		"{{EXCLUDED}}", strings.Join(excluded, ", "), "{{DE}}", strings.TrimSpace(de), "{{EN}}", strings.TrimSpace(en),
	).Replace(restoreMD)
}

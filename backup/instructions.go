package backup

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
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

var restoreTemplate = template.Must(template.New(restoreText).Option("missingkey=error").Parse(restoreMD))

// Instructor is what a [Snapshot] may offer beyond: the steps of a restore by
// hand that belong to its engine.
type Instructor interface {
	// Instructions are Markdown in German and in English without headings above
	// the fourth level. They begin where the parts are unpacked, below the folder
	// that the shell's variable OUT names: shared, keystore and tenants/*, a
	// folder for each tenant. They end where the command art32 can open the
	// database: of "sqlite", that of the folder $NEW, of others, that of the
	// environment.
	Instructions() (de, en string)
}

// texts writes the instructions beside the parts.
func (r *run) texts(ctx context.Context, snap Snapshot) error {
	var de, en string
	if i, ok := snap.(Instructor); ok {
		de, en = i.Instructions()
	}
	text, err := r.instructions(de, en)
	if err != nil {
		return err
	}
	for _, t := range []struct{ name, text string }{{restoreText, text}, {restoreScript, restoreSH}} {
		f, err := r.put(ctx, t.name, []byte(t.text))
		if err != nil {
			return err
		}
		r.manifest.Texts = append(r.manifest.Texts, f)
	}
	r.step("texts")
	return nil
}

// guided is what the instructions say of a run.
type guided struct {
	*Manifest

	DE, EN   string // of the engine
	Database string // flags that name it to the command art32
	Left     string // what is left out
}

func (r *run) instructions(de, en string) (string, error) {
	g := guided{Manifest: &r.manifest, DE: strings.TrimSpace(de), EN: strings.TrimSpace(en)}
	if r.manifest.Engine == "sqlite" {
		g.Database = `--data "$NEW" `
	}
	var left []string
	for _, e := range r.manifest.Excluded {
		left = append(left, "`"+e.Table+"` ("+e.Reason+")")
	}
	g.Left = strings.Join(left, ", ")
	var b bytes.Buffer
	if err := restoreTemplate.Execute(&b, g); err != nil {
		return "", fmt.Errorf("write the instructions: %w", err)
	}
	return b.String(), nil
}

package backup_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/backup"
)

// The instructions give the same commands in both languages, and how far the
// ledger must reach in words that can be followed, also where it is empty.
func TestInstructions(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 1)
	empty := w.run(t)
	must(t, w.db.Erase(in(t.Context(), w.a), people[0].ID))
	comment := regexp.MustCompile(` +#.*`)
	for _, m := range []*backup.Manifest{empty, w.run(t)} {
		text, err := os.ReadFile(w.path(m.Run + "/RESTORE.md"))
		must(t, err)
		de, en, _ := strings.Cut(string(text), "\n## English")
		var commands [2][]string
		for i, half := range []string{de, en} {
			for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n\n").FindAllStringSubmatch(half+"\n", -1) {
				commands[i] = append(commands[i], comment.ReplaceAllString(block[1], ""))
			}
		}
		if diff := cmp.Diff(commands[0], commands[1]); diff != "" || len(commands[0]) < 8 {
			t.Errorf("%d entries: commands (-de +en):\n%s", m.Ledger.Entries, diff)
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
			t.Errorf("%d entries: the template shows", m.Ledger.Entries)
		}
		if line := fmt.Sprintf("sed -n '%dp' ", m.Ledger.Entries); strings.Contains(en, line) != (m.Ledger.Entries > 0) {
			t.Errorf("%d entries:\n%s", m.Ledger.Entries, en)
		}
		if strings.Contains(string(text), strings.Repeat("0", 64)) {
			t.Error("it names the digest of no line")
		}
	}
}

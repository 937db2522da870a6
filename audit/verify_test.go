package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/audit"
)

type mutation struct {
	name  string
	sql   []string
	kind  audit.Kind
	index int64
}

// mutations is what somebody with full rights on the database may do, and what
// it must look like. Each log holds 300 entries of one tenant.
var mutations = []mutation{
	{"edit actor", []string{`UPDATE art32.events SET actor = 'person:x' WHERE leaf = 7 AND tenant_id = TENANT`}, audit.KindEdited, 7},
	{"edit time", []string{`UPDATE art32.events SET at = at + 1 WHERE leaf = 0 AND tenant_id = TENANT`}, audit.KindEdited, 0},
	{"edit action", []string{`UPDATE art32.events SET action = 'customers.delete' WHERE leaf = 256 AND tenant_id = TENANT`}, audit.KindEdited, 256},
	{"edit outcome", []string{`UPDATE art32.events SET outcome = 2 WHERE leaf = 299 AND tenant_id = TENANT`}, audit.KindEdited, 299},
	{"edit object", []string{`UPDATE art32.events SET object = NULL WHERE leaf = 255 AND tenant_id = TENANT`}, audit.KindEdited, 255},
	{"edit session", []string{`UPDATE art32.events SET session = '' WHERE leaf = 9 AND tenant_id = TENANT`}, audit.KindEdited, 9},
	{"edit MAC", []string{`UPDATE art32.events SET mac = digests WHERE leaf = 9 AND tenant_id = TENANT`}, audit.KindEdited, 9},
	{"edit id", []string{`UPDATE art32.events SET id = '6f9619ff-8b86-4d11-b42d-00c04fc964ff' WHERE leaf = 9 AND tenant_id = TENANT`}, audit.KindEdited, 9},
	{"delete in the middle", []string{`DELETE FROM art32.events WHERE leaf = 100 AND tenant_id = TENANT`}, audit.KindDeleted, 100},
	{"delete the last", []string{`DELETE FROM art32.events WHERE leaf = 299 AND tenant_id = TENANT`}, audit.KindTailCut, 299},
	{"delete the last ten", []string{`DELETE FROM art32.events WHERE leaf >= 290 AND tenant_id = TENANT`}, audit.KindTailCut, 290},
	{"set back", []string{
		`DELETE FROM art32.events WHERE leaf >= 290 AND tenant_id = TENANT`,
		`UPDATE art32.logs SET size = 290 WHERE tenant_id = TENANT`}, audit.KindTailCut, 290},
	{"move to a free place", []string{`UPDATE art32.events SET leaf = 400 WHERE leaf = 20 AND tenant_id = TENANT`}, audit.KindInserted, 400},
	{"insert a copy of a leaf", []string{
		`DROP INDEX ` + leafIndex, copyEvent("leaf", "'00000000-8b86-4d11-b42d-00c04fc964ff'", 50)}, audit.KindInserted, 50},
	{"insert an exact copy", []string{
		`DROP INDEX ` + leafIndex, `DROP INDEX ` + idIndex, copyEvent("leaf", "id", 50)}, audit.KindInserted, 50},
	{"insert behind the end", []string{copyEvent("300", "'00000000-8b86-4d11-b42d-00c04fc964ff'", 50)}, audit.KindInserted, 300},
	{"replay an event", []string{`DROP INDEX ` + idIndex, copyEvent("300", "id", 50)}, audit.KindInserted, 300},
	{"swap places", []string{
		`UPDATE art32.events SET leaf = 1000 WHERE leaf = 3 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 3 WHERE leaf = 5 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 5 WHERE leaf = 1000 AND tenant_id = TENANT`}, audit.KindReordered, 3},
	{"rotate places", []string{
		`UPDATE art32.events SET leaf = 1000 WHERE leaf = 3 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 3 WHERE leaf = 270 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 270 WHERE leaf = 1000 AND tenant_id = TENANT`}, audit.KindReordered, 270},
	{"edit a payload", []string{partOf(11, `ciphertext = (SELECT ciphertext FROM art32.event_parts p WHERE p.event_id <> art32.event_parts.event_id AND p.ciphertext IS NOT NULL LIMIT 1)`)}, audit.KindPayloadEdited, 11},
	{"edit a payload's person", []string{partOf(11, `subject = '6f9619ff-8b86-4d11-b42d-00c04fc964ff'`)}, audit.KindPayloadEdited, 11},
	{"empty a payload", []string{partOf(12, `ciphertext = NULL, subject = NULL`)}, audit.KindPayloadMissing, 12},
	{"delete a payload", []string{`DELETE FROM art32.event_parts WHERE event_id = (SELECT id FROM art32.events WHERE leaf = 12 AND tenant_id = TENANT)`}, audit.KindPayloadMissing, 12},
	{"insert a payload", []string{`INSERT INTO art32.event_parts (tenant_id, event_id, part, subject, ciphertext)
		SELECT tenant_id, event_id, 1, subject, ciphertext FROM art32.event_parts WHERE tenant_id = TENANT AND ciphertext IS NOT NULL LIMIT 1`}, audit.KindInserted, -1},
	{"damage a full tile", []string{flipTile(0, 0)}, audit.KindTileDamaged, 0},
	{"damage the last tile", []string{flipTile(0, 1)}, audit.KindTileDamaged, 1},
	{"damage a tile above", []string{flipTile(1, 0)}, audit.KindTileDamaged, 0},
	{"delete a tile", []string{`DELETE FROM art32.tiles WHERE tenant_id = TENANT AND level = 0 AND n = 0`}, audit.KindTileDamaged, 0},
	{"damage the checkpoint", []string{`UPDATE art32.checkpoints SET note = replace(note, '300', '299') WHERE tenant_id = TENANT AND size = 300`}, audit.KindCheckpoint, 300},
	{"damage a signature", []string{`UPDATE art32.checkpoints SET note = substr(note, 1, length(note) - 9) || 'AAAAAAA=' || substr(note, length(note)) WHERE tenant_id = TENANT AND size = 300`}, audit.KindCheckpoint, 300},
	{"delete the checkpoints", []string{`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT`}, audit.KindCheckpoint, 300},
	{"exchange the root", []string{`UPDATE art32.logs SET root = (SELECT mac FROM art32.events LIMIT 1) WHERE tenant_id = TENANT`}, audit.KindCheckpoint, 300},
	{"exchange the key", []string{`UPDATE art32.logs SET vkey = replace(vkey, 'a', 'b') WHERE tenant_id = TENANT`}, audit.KindCheckpoint, 300},
	{"refused by the sealer", []string{`UPDATE art32.events SET leaf = -1 WHERE leaf = 299 AND tenant_id = TENANT`}, audit.KindInserted, -1},
}

const (
	leafIndex = "art32.events_leaf"
	idIndex   = "art32.events_id"
)

func copyEvent(leaf, id string, from int) string {
	return strings.NewReplacer("LEAF", leaf, "NEWID", id, "FROM_INDEX", map[int]string{50: "50"}[from]).Replace(
		`INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, leaf)
		SELECT NEWID, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, LEAF
		FROM art32.events WHERE leaf = FROM_INDEX AND tenant_id = TENANT`)
}

func partOf(leaf int, set string) string {
	return `UPDATE art32.event_parts SET ` + set + ` WHERE event_id = (SELECT id FROM art32.events WHERE tenant_id = TENANT AND leaf = ` +
		map[int]string{11: "11", 12: "12"}[leaf] + `)`
}

// flipTile exchanges the first bytes of a tile.
func flipTile(level, n int) string {
	digit := map[int]string{0: "0", 1: "1"}
	return `UPDATE art32.tiles SET data = FLIPPED WHERE tenant_id = TENANT AND level = ` + digit[level] + ` AND n = ` + digit[n]
}

func TestVerifyFindsMutations(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 290)
		w.sealed(t, 10)
		all := mutations
		if w.engine == "sqlite" {
			all = append(slices.Clip(all), oddities...)
		}
		w.mutate(t, all)
	})
}

// oddities are values that read like those that were sealed, but are not found
// by them. PostgreSQL's types do not hold them.
var oddities = []mutation{
	{"object in capitals", []string{`UPDATE art32.events SET object = upper(object) WHERE leaf = 100`}, audit.KindEdited, 100},
	{"object in braces", []string{`UPDATE art32.events SET object = '{' || object || '}' WHERE leaf = 100`}, audit.KindEdited, 100},
	{"writer in capitals", []string{`UPDATE art32.events SET writer = upper(writer) WHERE leaf = 100`}, audit.KindEdited, 100},
	{"id in capitals", []string{`UPDATE art32.events SET id = upper(id) WHERE leaf = 100`}, audit.KindEdited, 100},
	{"id in capitals, with its payload", []string{
		`UPDATE art32.event_parts SET event_id = upper(event_id) WHERE event_id = (SELECT id FROM art32.events WHERE leaf = 100)`,
		`UPDATE art32.events SET id = upper(id) WHERE leaf = 100`}, audit.KindEdited, 100},
	{"tenant in capitals", []string{`UPDATE art32.events SET tenant_id = upper(tenant_id) WHERE leaf = 100`}, audit.KindDeleted, 100},
	{"person in capitals", []string{partOf(11, `subject = upper(subject)`)}, audit.KindPayloadEdited, 11},
	{"outcome beyond its range", retyped(`outcome = 257`), audit.KindEdited, 100},
	{"actor as bytes", retyped(`actor = CAST(actor AS BLOB)`), audit.KindEdited, 100},
	{"object empty", retyped(`object = ''`), audit.KindEdited, 100},
}

// retyped puts a table in place of that of the events that allows all values.
func retyped(set string) []string {
	return []string{
		`ALTER TABLE art32.events RENAME TO typed`, `CREATE TABLE art32.events AS SELECT * FROM typed`, `DROP TABLE typed`,
		`UPDATE art32.events SET ` + set + ` WHERE leaf = 100`,
	}
}

// mutate does each, and demands that it is found as what it is.
func (w *world) mutate(t *testing.T, all []mutation) {
	t.Helper()
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Attr("art32.measure", "TOM-5.1")
			restore := w.snapshot(t)
			defer restore()
			flipped := `CAST(CASE substr(data, 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(data, 2) AS BLOB)`
			if w.engine == "postgres" {
				flipped = `set_byte(data, 0, 255 - get_byte(data, 0))`
			}
			for _, text := range m.sql {
				text = strings.ReplaceAll(text, "FLIPPED", flipped)
				if w.engine == "postgres" {
					text = strings.ReplaceAll(text, "'00000000-8b86", "uuid '00000000-8b86")
				}
				w.raw(t, text)
			}
			r := w.verify(t, nil)
			if r.OK() {
				t.Fatal("not found")
			}
			if strings.HasPrefix(m.name, "delete the last") || m.name == "delete in the middle" {
				if len(r.Findings) != 1 {
					t.Errorf("more than one finding: %+v", r.Findings)
				}
			}
			for _, f := range r.Findings {
				if f.Kind == m.kind && f.Index == m.index {
					return
				}
			}
			t.Errorf("want %s at %d, got %+v", m.kind, m.index, r.Findings)
		})
	}
	w.wantOK(t, nil)
}

func TestVerifyPending(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		w.customers(t, 2)
		if r := w.verify(t, nil); r.OK() || r.Pending != 2 || r.Overdue != 2 || len(r.Findings) != 0 || r.OldestPending.IsZero() {
			t.Errorf("got %+v", r)
		}
		w.wantOK(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log})
		w.raw(t, `UPDATE art32.events SET actor = 'person:x' WHERE leaf IS NULL AND tenant_id = TENANT`)
		if r := w.verify(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log}); len(r.Findings) != 2 || r.Findings[0].Kind != audit.KindInserted {
			t.Errorf("edited before the seal, got %+v", r)
		}
	})
}

func TestVerifyWithHeadsHeldOutside(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		early := w.checkpoint(t)
		restore := w.snapshot(t)
		w.sealed(t, 5)
		late := w.checkpoint(t)
		o := &audit.VerifyOptions{Checkpoints: [][]byte{early, late}, Key: w.verify(t, nil).Key}
		w.wantOK(t, o)
		restore() // yesterday's backup
		w.wantOK(t, nil)
		r := w.verify(t, o)
		if len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindTailCut || r.Findings[0].Index != 5 {
			t.Errorf("old backup: got %+v", r.Findings)
		}
		w.sealed(t, 5) // and it went on from there: a fork
		if r := w.verify(t, o); len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindCheckpoint || r.Findings[0].Index != 10 {
			t.Errorf("fork: got %+v", r.Findings)
		}
	})
}

func TestVerifyEmpty(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if r := w.wantOK(t, nil); r.Size != 0 || r.Origin != "" {
			t.Errorf("got %+v", r)
		}
		w.sealed(t, 4)
		cp := w.checkpoint(t)
		key := w.verify(t, nil).Key
		w.raw(t, `DELETE FROM art32.checkpoints WHERE tenant_id = TENANT`, `DELETE FROM art32.tiles WHERE tenant_id = TENANT`,
			`DELETE FROM art32.logs WHERE tenant_id = TENANT`)
		if w.verify(t, nil).OK() {
			t.Error("sealed rows without a log pass")
		}
		w.raw(t, `DELETE FROM art32.event_parts WHERE tenant_id = TENANT`, `DELETE FROM art32.events WHERE tenant_id = TENANT`)
		if r := w.verify(t, nil); len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindTailCut {
			t.Errorf("the platform's log tells that there was a log: got %+v", r)
		}
		if r := w.verify(t, &audit.VerifyOptions{Checkpoints: [][]byte{cp}}); r.OK() || r.Findings[0].Kind != audit.KindCheckpoint {
			t.Errorf("a held checkpoint without its key: got %+v", r)
		}
		if r := w.verify(t, &audit.VerifyOptions{Key: key, Checkpoints: [][]byte{cp}}); r.OK() || r.Findings[0].Kind != audit.KindTailCut {
			t.Errorf("the whole log is gone: got %+v", r)
		}
	})
}

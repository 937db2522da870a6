package audittest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// Mutation is something that whoever has full rights on the database can do to a
// sealed log, and what [audit.Verify] must call it.
type Mutation struct {
	Name string // of the subtest
	// SQL are the statements, in the dialect of both engines as far as they differ in
	// no more than the names of tables: art32.events is art32_events in SQLite. TENANT
	// stands for the quoted id of the tenant.
	SQL  []string
	Kind audit.Kind // that one of the findings must have
	// Index is that of the same finding: the number of an entry, the size of a
	// checkpoint, the number of a tile; -1 for none.
	Index int64
	// Engine is the only one that can hold it; "": each.
	Engine string
}

// Verifier verifies a log; [audit.Verify] is one.
type Verifier func(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, o *audit.VerifyOptions) (*audit.Report, error)

// Entries is how many entries the log has that [Mutations] change.
const Entries = 300

// Check does the mutation to the log of a tenant, has it verified, and takes it
// back. It returns what was not found as it should.
func (m *Mutation) Check(tb testing.TB, w *tenancytest.World, tenant tenancy.ID, verify Verifier) error {
	tb.Helper()
	l := stored{w: w, tenant: tenant}
	restore := l.snapshot(tb)
	defer restore()
	l.exec(tb, m.SQL...)
	r, err := verify(tb.Context(), w.DB, tenant, nil)
	switch {
	case err != nil:
		return err
	case r.OK():
		return fmt.Errorf("%s: not found", m.Name)
	case !slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Kind == m.Kind && f.Index == m.Index }):
		return fmt.Errorf("%s: want %s at %d, got %v", m.Name, m.Kind, m.Index, kinds(r))
	}
	return nil
}

// kinds are the findings without their texts.
func kinds(r *audit.Report) []string {
	all := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		all[i] = fmt.Sprintf("%s at %d", f.Kind, f.Index)
	}
	return all
}

// Mutations are those of a log with [Entries] entries, each with a payload, in two
// batches, of which the second has ten.
func Mutations() []Mutation {
	all := slices.Concat(edits, removals, insertions, payloads, hashes, signatures)
	return append(all, oddities...)
}

// edit changes an entry.
func edit(name, set string, leaf int64) Mutation {
	return Mutation{Name: name, SQL: []string{"UPDATE art32.events SET " + set + " WHERE " + at(leaf)}, Kind: audit.KindEdited, Index: leaf}
}

func at(leaf int64) string { return fmt.Sprintf("leaf = %d AND tenant_id = TENANT", leaf) }

const otherID = "'6f9619ff-8b86-4d11-b42d-00c04fc964ff'"

var edits = []Mutation{
	edit("edit actor", "actor = 'person:x'", 7),
	edit("edit time", "at = at + 1", 0),
	edit("edit action", "action = 'visits.delete'", 256),
	edit("edit outcome", "outcome = 2", 299),
	edit("edit object", "object = "+otherID, 255),
	edit("edit session", "session = 'other'", 9),
	edit("edit writer", "writer = "+otherID, 9),
	edit("edit counter", "counter = counter + 1000", 9),
	edit("edit MAC", "mac = digests", 9),
	edit("edit id", "id = "+otherID, 9),
	{Name: "swap places", SQL: []string{
		"UPDATE art32.events SET leaf = 1000 WHERE " + at(3), "UPDATE art32.events SET leaf = 3 WHERE " + at(5),
		"UPDATE art32.events SET leaf = 5 WHERE " + at(1000),
	}, Kind: audit.KindReordered, Index: 3},
	{Name: "rotate places", SQL: []string{
		"UPDATE art32.events SET leaf = 1000 WHERE " + at(3), "UPDATE art32.events SET leaf = 3 WHERE " + at(270),
		"UPDATE art32.events SET leaf = 270 WHERE " + at(1000),
	}, Kind: audit.KindReordered, Index: 270},
}

var removals = []Mutation{
	{Name: "delete in the middle", SQL: []string{"DELETE FROM art32.events WHERE " + at(100)}, Kind: audit.KindDeleted, Index: 100},
	{Name: "delete with its payload", SQL: []string{
		"DELETE FROM art32.event_parts WHERE event_id = (SELECT id FROM art32.events WHERE " + at(100) + ")",
		"DELETE FROM art32.events WHERE " + at(100),
	}, Kind: audit.KindDeleted, Index: 100},
	{Name: "delete the last", SQL: []string{"DELETE FROM art32.events WHERE " + at(299)}, Kind: audit.KindTailCut, Index: 299},
	{Name: "delete the last ten", SQL: []string{"DELETE FROM art32.events WHERE leaf >= 290 AND tenant_id = TENANT"}, Kind: audit.KindTailCut, Index: 290},
	{Name: "set back", SQL: []string{
		"DELETE FROM art32.events WHERE leaf >= 290 AND tenant_id = TENANT", "UPDATE art32.logs SET size = 290 WHERE tenant_id = TENANT",
	}, Kind: audit.KindTailCut, Index: 290},
	{Name: "delete the whole log", SQL: []string{
		"DELETE FROM art32.checkpoints WHERE tenant_id = TENANT", "DELETE FROM art32.tiles WHERE tenant_id = TENANT",
		"DELETE FROM art32.logs WHERE tenant_id = TENANT", "DELETE FROM art32.event_parts WHERE tenant_id = TENANT",
		"DELETE FROM art32.events WHERE tenant_id = TENANT",
	}, Kind: audit.KindTailCut, Index: 0},
	{Name: "take back to the queue", SQL: []string{"UPDATE art32.events SET leaf = NULL WHERE " + at(200)}, Kind: audit.KindDeleted, Index: 200},
}

// copied inserts a row that is like that of entry 50.
func copied(leaf, id string) string {
	return `INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, leaf)
		SELECT ` + id + `, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, ` + leaf +
		" FROM art32.events WHERE " + at(50)
}

const (
	freshID      = "UUID('00000000-8b86-4d11-b42d-00c04fc964ff')"
	dropLeaf     = "DROP INDEX art32.events_leaf"
	dropID       = "DROP INDEX art32.events_id"
	beyondTheEnd = "300"
)

var insertions = []Mutation{
	{Name: "insert a copy of an entry", SQL: []string{dropLeaf, copied("leaf", freshID)}, Kind: audit.KindInserted, Index: 50},
	{Name: "insert an exact copy", SQL: []string{dropLeaf, dropID, copied("leaf", "id")}, Kind: audit.KindInserted, Index: 50},
	{Name: "insert behind the end", SQL: []string{copied(beyondTheEnd, freshID)}, Kind: audit.KindInserted, Index: 300},
	{Name: "replay an event", SQL: []string{dropID, copied(beyondTheEnd, "id")}, Kind: audit.KindInserted, Index: 300},
	{Name: "move behind the end", SQL: []string{"UPDATE art32.events SET leaf = 400 WHERE " + at(20)}, Kind: audit.KindInserted, Index: 400},
	{Name: "refuse by the sealer's mark", SQL: []string{"UPDATE art32.events SET leaf = -1 WHERE " + at(299)}, Kind: audit.KindInserted, Index: -1},
}

// part changes the payload of an entry.
func part(leaf int64, set string) string {
	return "UPDATE art32.event_parts SET " + set + " WHERE event_id = (SELECT id FROM art32.events WHERE " + at(leaf) + ")"
}

var payloads = []Mutation{
	{Name: "exchange a payload", SQL: []string{part(11, `ciphertext = (SELECT ciphertext FROM art32.event_parts p
		WHERE p.tenant_id = TENANT AND p.event_id <> art32.event_parts.event_id AND p.ciphertext IS NOT NULL LIMIT 1)`)}, Kind: audit.KindPayloadEdited, Index: 11},
	{Name: "exchange a payload's person", SQL: []string{part(11, "subject = "+otherID)}, Kind: audit.KindPayloadEdited, Index: 11},
	{Name: "empty a payload", SQL: []string{part(12, "ciphertext = NULL, subject = NULL")}, Kind: audit.KindPayloadMissing, Index: 12},
	{Name: "delete a payload", SQL: []string{
		"DELETE FROM art32.event_parts WHERE event_id = (SELECT id FROM art32.events WHERE " + at(12) + ")",
	}, Kind: audit.KindPayloadMissing, Index: 12},
	{Name: "insert a payload", SQL: []string{`INSERT INTO art32.event_parts (tenant_id, event_id, part, subject, ciphertext)
		SELECT tenant_id, event_id, 1, subject, ciphertext FROM art32.event_parts WHERE tenant_id = TENANT AND ciphertext IS NOT NULL LIMIT 1`}, Kind: audit.KindInserted, Index: -1},
}

func flip(level, n int) string {
	return fmt.Sprintf("UPDATE art32.tiles SET data = FLIPPED WHERE tenant_id = TENANT AND level = %d AND n = %d", level, n)
}

var hashes = []Mutation{
	{Name: "damage a full tile", SQL: []string{flip(0, 0)}, Kind: audit.KindTileDamaged, Index: 0},
	{Name: "damage the last tile", SQL: []string{flip(0, 1)}, Kind: audit.KindTileDamaged, Index: 1},
	{Name: "damage a tile above", SQL: []string{flip(1, 0)}, Kind: audit.KindTileDamaged, Index: 0},
	{Name: "delete a tile", SQL: []string{"DELETE FROM art32.tiles WHERE tenant_id = TENANT AND level = 0 AND n = 0"}, Kind: audit.KindTileDamaged, Index: 0},
	{Name: "exchange the root", SQL: []string{
		"UPDATE art32.logs SET root = (SELECT mac FROM art32.events WHERE tenant_id = TENANT LIMIT 1) WHERE tenant_id = TENANT",
	}, Kind: audit.KindCheckpoint, Index: 300},
}

var signatures = []Mutation{
	{Name: "damage the checkpoint", SQL: []string{
		"UPDATE art32.checkpoints SET note = replace(note, '300', '299') WHERE tenant_id = TENANT AND size = 300",
	}, Kind: audit.KindCheckpoint, Index: 300},
	{Name: "damage a signature", SQL: []string{`UPDATE art32.checkpoints SET note = substr(note, 1, length(note) - 9) || 'AAAAAAA=' || substr(note, length(note))
		WHERE tenant_id = TENANT AND size = 300`}, Kind: audit.KindCheckpoint, Index: 300},
	{Name: "delete the checkpoints", SQL: []string{"DELETE FROM art32.checkpoints WHERE tenant_id = TENANT"}, Kind: audit.KindCheckpoint, Index: 300},
	{Name: "exchange the key", SQL: []string{"UPDATE art32.logs SET vkey = replace(vkey, 'a', 'b') WHERE tenant_id = TENANT"}, Kind: audit.KindCheckpoint, Index: 300},
}

// oddities read like what was sealed, but are not found by their values. The types
// of PostgreSQL do not hold them.
var oddities = func() []Mutation {
	all := []Mutation{
		edit("object in capitals", "object = upper(object)", 100),
		edit("object in braces", "object = '{' || object || '}'", 100),
		edit("writer in capitals", "writer = upper(writer)", 100),
		edit("id in capitals", "id = upper(id)", 100),
		{Name: "id in capitals, with its payload", SQL: []string{
			part(100, "event_id = upper(event_id)"), "UPDATE art32.events SET id = upper(id) WHERE " + at(100),
		}, Kind: audit.KindEdited, Index: 100},
		{Name: "tenant in capitals", SQL: []string{"UPDATE art32.events SET tenant_id = upper(tenant_id) WHERE " + at(100)}, Kind: audit.KindDeleted, Index: 100},
		retyped("outcome beyond its range", "outcome = 257"),
		retyped("actor as bytes", "actor = CAST(actor AS BLOB)"),
		retyped("object empty", "object = ''"),
	}
	for i := range all {
		all[i].Engine = tenancytest.SQLite
	}
	return all
}()

// retyped puts a table that holds all values in the place of that of the events.
func retyped(name, set string) Mutation {
	m := edit(name, set, 100)
	m.SQL = append([]string{
		"ALTER TABLE art32.events RENAME TO typed", "CREATE TABLE art32.events AS SELECT * FROM typed", "DROP TABLE typed",
	}, m.SQL...)
	return m
}

// dialect writes a statement for the engine.
func dialect(engine, text string, tenant tenancy.ID) string {
	flipped, id := "set_byte(data, 0, 255 - get_byte(data, 0))", "uuid "
	if engine == tenancytest.SQLite {
		text = strings.ReplaceAll(text, "art32.", "art32_")
		flipped = "CAST(CASE substr(data, 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(data, 2) AS BLOB)"
		id = ""
	}
	return strings.NewReplacer("FLIPPED", flipped, "UUID('", id+"'", "64ff')", "64ff'", "TENANT", "'"+tenant.String()+"'").Replace(text)
}

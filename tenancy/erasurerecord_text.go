package tenancy

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// German is the record for people to read, as Markdown. What is signed is the JSON
// alone, and the text says so.
func (r *ErasureRecord) German() string { return r.text(true) }

// English is the record for people to read, as Markdown. What is signed is the
// JSON alone, and the text says so.
func (r *ErasureRecord) English() string { return r.text(false) }

func (r *ErasureRecord) text(german bool) string {
	w := &recordText{german: german, tenant: r.Kind == RecordOfTenant}
	w.head(r)
	w.tables(r)
	w.rest(r)
	w.copies(r)
	w.files(r)
	w.check(r)
	return w.b.String()
}

// recordText writes a record in one of two languages, which stand side by side in
// the code so that both say the same.
type recordText struct {
	b      strings.Builder
	german bool
	tenant bool
}

// say picks a language.
func (w *recordText) say(de, en string) string {
	if w.german {
		return de
	}
	return en
}

// linef writes a line. Arguments are those of both languages, in one order.
func (w *recordText) linef(de, en string, args ...any) {
	fmt.Fprintf(&w.b, w.say(de, en)+"\n", args...)
}

// of picks by what was erased.
func (w *recordText) of(person, tenant string) string {
	if w.tenant {
		return tenant
	}
	return person
}

func (w *recordText) head(r *ErasureRecord) {
	w.linef("# Löschprotokoll\n", "# Erasure record\n")
	w.linef("Lesefassung. Es gilt die signierte Datei record.json mit der Kennung `%s`.\n",
		"For reading. What counts is the signed file record.json with the id `%s`.\n", r.ID)
	w.linef("- Verantwortlicher: %s (`%s`)", "- Controller: %s (`%s`)", inline(r.Controller.Name), r.Controller.ID)
	if r.DataSubject != uuid.Nil {
		w.linef("- Betroffene Person: `%s`", "- Data subject: `%s`", r.DataSubject)
	} else {
		w.linef("- Gelöscht wurde der ganze Mandant.", "- The whole tenant was erased.")
	}
	w.linef("- Gelöscht am: %s", "- Erased at: %s", moment(r.ErasedAt))
	if !r.ReplayedAt.IsZero() {
		w.linef("- Am %s fand sich ein älterer Schlüsselspeicher; die Schlüssel Gelöschter wurden erneut vernichtet, und die Fristen unten zählen von da an.",
			"- At %s an older keystore was found; the keys of those erased were destroyed again, and the times below count from then.", moment(r.ReplayedAt))
	}
	w.linef("- Protokoll ausgestellt am: %s, durch `%s`", "- Record issued at: %s, by `%s`", moment(r.IssuedAt), r.IssuedBy)
	if r.Reason != "" {
		w.linef("- Anlass: %s", "- Reason: %s", inline(r.Reason))
	}
}

func (w *recordText) tables(r *ErasureRecord) {
	w.linef("\n## Was gelöscht wurde\n", "\n## What was erased\n")
	if w.tenant {
		w.linef("Alle Schlüssel des Mandanten sind vernichtet. Was mit ihnen verschlüsselt war, können wir nicht mehr lesen, auch nicht in Kopien der Daten; eine Einschränkung steht unter „Kopien des Schlüsselspeichers“.\n",
			"All keys of the tenant are destroyed. What was encrypted with them can no longer be read by us, nor in copies of the data; \"Copies of the keystore\" says with which limit.\n")
	} else {
		w.linef("Der Schlüssel der Person ist vernichtet. Was mit ihm verschlüsselt war, können wir nicht mehr lesen, auch nicht in Kopien der Daten; eine Einschränkung steht unter „Kopien des Schlüsselspeichers“.\n",
			"The person's key is destroyed. What was encrypted with it can no longer be read by us, nor in copies of the data; \"Copies of the keystore\" says with which limit.\n")
	}
	if len(r.Tables) > 0 {
		w.linef("| Tabelle | Zeilen, die bleiben | nicht mehr lesbar | nur gelöscht | Suchindex geleert | bleibt |", "| table | rows that stay | no longer readable | only deleted | blind index cleared | stays |")
		w.linef("|---|---|---|---|---|---|", "|---|---|---|---|---|---|")
	}
	deleted := false
	for _, t := range r.Tables {
		fmt.Fprintf(&w.b, "| `%s` | %d | %s | %s | %s | %s |\n", t.Name, t.Rows, names(t.Unreadable), names(t.Deleted), names(t.Indexes), names(t.Kept))
		deleted = deleted || len(t.Deleted) > 0
	}
	if deleted {
		w.linef("\nDie Spalten unter „nur gelöscht“ lagen im Klartext vor. In der Datenbank sind sie geleert; ältere Kopien der Daten enthalten sie, solange es diese Kopien gibt.",
			"\nThe columns under \"only deleted\" were in clear. In the database they are emptied; older copies of the data hold them for as long as those copies exist.")
	}
	if len(r.Untouched) > 0 {
		w.linef("\nNicht berührt, da ihre Zeilen keine Person nennen: %s.", "\nNot touched, since their rows name no person: %s.", names(r.Untouched))
	}
}

func (w *recordText) rest(r *ErasureRecord) {
	w.linef("\n## Was bleibt\n", "\n## What stays\n")
	w.linef("- Die Zeilen und ihre Spalten unter „bleibt“. %s", "- The rows and their columns under \"stays\". %s", w.of(
		w.say("Wir können sie der Person nicht mehr zuordnen; wer die Kennung kennt, erkennt ihre Zeilen.", "They can no longer be linked to the person by us; who knows the id recognises its rows."),
		w.say("Wir können sie keiner Person mehr zuordnen; wer Kennungen kennt, erkennt deren Zeilen.", "They can no longer be linked to a person by us; who knows ids recognises their rows.")))
	if r.Log == nil {
		w.linef("- Was das Protokoll der Änderungen enthält: dieses Programm weiß es nicht.", "- What the log of changes holds: this program does not know.")
	} else {
		w.linef("- Im Protokoll der Änderungen sind geleert: %s. Es bleiben: %s.", "- In the log of changes are emptied: %s. There stay: %s.",
			w.words(r.Log.Emptied), w.words(r.Log.Kept))
	}
	if r.Ledger {
		w.linef("- Die Löschung steht im Löschverzeichnis; eine Wiederherstellung einer älteren Sicherung wiederholt sie.",
			"- The erasure stands in the ledger of erasures; a restore of an older backup repeats it.")
	} else {
		w.linef("- Bei der Ausstellung wurde kein Löschverzeichnis befragt.", "- No ledger of erasures was asked when this was issued.")
	}
}

// words translates the words of a log's format.
func (w *recordText) words(list []string) string {
	german := map[string]string{
		"payload": "Inhalt (Anlass, alte und neue Werte)", "id": "Kennung des Ereignisses", "time": "Zeit", "actor": "Handelnder",
		"session": "Sitzung", "action": "Handlung", "object": "Kennung der Zeile", "outcome": "Ergebnis", "digest": "Prüfsumme des Inhalts",
		"checkpoint": "Prüfpunkt",
	}
	english := map[string]string{
		"payload": "payload (reason, old and new values)", "id": "id of the event", "object": "id of the row", "digest": "digest of the payload",
	}
	out := make([]string, len(list))
	for i, word := range list {
		out[i] = inline(word)
		if known := w.say(german[word], english[word]); known != "" {
			out[i] = known
		}
	}
	return strings.Join(out, ", ")
}

func (w *recordText) copies(r *ErasureRecord) {
	w.linef("\n## Kopien des Schlüsselspeichers\n", "\n## Copies of the keystore\n")
	if len(r.Copies) == 0 {
		w.linef("Der Betreiber hat erklärt, dass es keine gibt.", "The operator has declared that there are none.")
	} else {
		w.linef("Der Betreiber hat diese erklärt. Eine Kopie, die vor der Löschung gemacht wurde, enthält den Schlüssel noch, und zwar längstens für diese Dauer:\n",
			"The operator has declared these. A copy that was made before the erasure still holds the key, and does so at most for this long:\n")
	}
	for _, c := range r.Copies {
		fmt.Fprintf(&w.b, "- %s: %s\n", inline(c.Name), w.span(c.LifeSeconds))
	}
	if len(r.Copies) > 0 {
		w.linef("\nBis %s könnte eine Kopie den Schlüssel zurückbringen, danach keine der erklärten mehr.",
			"\nUntil %s a copy could bring the key back; after that none of those declared can.", end(r.Horizon))
	}
	w.linef("\nAndere Instanzen des Programms verweigern seit der Löschung das Schreiben. Mit einem Schlüssel in ihrem Speicher konnten sie noch lesen, bis %s.", //nolint:misspell // German
		"\nOther instances of the program refuse to write since the erasure. With a key in their memory they could still read, until %s.",
		end(r.destroyed().Add(time.Duration(r.CacheSeconds)*time.Second)))
}

func (w *recordText) files(r *ErasureRecord) {
	f := r.Files
	w.linef("\n## Dateien\n", "\n## Files\n")
	if f.Overwritten {
		w.linef("- Gelöschte Bytes wurden sofort überschrieben (secure_delete).", "- Deleted bytes were overwritten at once (secure_delete).")
	}
	if f.LogEmptied {
		w.linef("- Das Write-Ahead-Log wurde geleert.", "- The write-ahead log was emptied.")
	}
	if f.UntilRewritten {
		w.linef("- Alte Zeilenversionen, auch die des Schlüssels, bleiben in den Dateien der Tabellen, bis ihr Platz neu beschrieben wird. VACUUM gibt ihn nur frei; VACUUM FULL schreibt eine Tabelle neu, ohne sie, sobald auf dem Server keine ältere Transaktion mehr läuft.",
			"- Old row versions, that of the key too, stay in the files of the tables until their space is written again. VACUUM only frees it; VACUUM FULL writes a table anew, without them, once no older transaction runs on the server.")
	}
	if f.InLog {
		w.linef("- Im Write-Ahead-Log und seinem Archiv bleiben sie für deren eigene Dauer.", "- In the write-ahead log and its archive they stay for their own time.")
	}
	w.linef("- Was unter dem Dateisystem liegt (Journale, Flash-Speicher, Schnappschüsse), ist hier nicht erfasst.",
		"- What lies below the file system (journals, flash memory, snapshots) is not covered here.")
}

func (w *recordText) check(r *ErasureRecord) {
	w.linef("\n## Prüfung\n", "\n## How to check\n")
	w.linef("Unterzeichnet mit diesem Schlüssel, den der Prüfende anderswoher kennen muss:\n",
		"Signed with this key, which whoever checks must know from elsewhere:\n")
	fmt.Fprintf(&w.b, "```sh\necho 'erasure %s' > allowed\nssh-keygen -Y verify -f allowed -I erasure -n %s -s record.json.sig < record.json\n```\n", r.Signer, recordNamespace)
	build := strings.Join(strings.Fields(r.Build.Program+" "+r.Build.Version+" "+r.Build.Revision), " ")
	if build == "" {
		return
	}
	if r.Build.Modified {
		build += w.say(" (verändert)", " (modified)")
	}
	w.linef("\nProgramm: %s", "\nProgram: %s", inline(build))
}

// span says a duration in the largest unit that fits.
func (w *recordText) span(seconds int64) string {
	for _, u := range []struct {
		n      int64
		de, en string
	}{{24 * 3600, "Tage", "days"}, {3600, "Stunden", "hours"}, {60, "Minuten", "minutes"}} {
		if seconds > u.n && seconds%u.n == 0 {
			return fmt.Sprintf("%d %s", seconds/u.n, w.say(u.de, u.en))
		}
	}
	return fmt.Sprintf("%d %s", seconds, w.say("Sekunden", "seconds"))
}

// moment is a time to the second.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// end is a time to the second, rounded up so that it does not come too early.
func end(t time.Time) string { return moment(t.Add(time.Second - time.Nanosecond)) }

// names lists identifiers.
func names(list []string) string {
	if len(list) == 0 {
		return "–"
	}
	return "`" + strings.Join(list, "`, `") + "`"
}

// inline is a text from outside in one line, in which Markdown sees no marks.
func inline(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == utf8.RuneError || obeyed(r) || !unicode.IsPrint(r) && r != ' ':
			b.WriteByte(' ')
		case strings.ContainsRune("\\`*_[]<>|&#~!$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

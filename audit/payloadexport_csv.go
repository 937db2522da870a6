package audit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// csvHeader names the cells of a row, as docs/formats/audit-jsonl.md does.
const csvHeader = "log,index,event,at,tenant,actor,session,action,object,outcome,reason,detail,fields,attrs,parts,withheld,erased,damaged\r\n"

// csvRow appends an entry as a row of CSV (RFC 4180). It is a [Format].
func csvRow(b []byte, e *SealedEntry) ([]byte, error) {
	l := lineOf(e)
	p := payloadOf(&e.Entry)
	cells := []string{
		l.Log, strconv.FormatInt(l.Index, 10), l.Event, l.At, l.Tenant, textCell(l.Actor), textCell(l.Session), textCell(l.Action),
		l.Object, l.Outcome, textCell(p.Reason), textCell(p.Detail),
	}
	for _, v := range []struct {
		value any
		empty bool
	}{{p.Fields, len(p.Fields) == 0}, {p.Attrs, len(p.Attrs) == 0}, {p.Parts, len(p.Parts) == 0}, {p.Withheld, len(p.Withheld) == 0}} {
		cell := ""
		if !v.empty {
			var err error
			if cell, err = jsonCell(v.value); err != nil {
				return nil, err
			}
		}
		cells = append(cells, cell)
	}
	cells = append(cells, strconv.FormatBool(p.Erased), strconv.FormatBool(p.Damaged))
	for i, c := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, strings.ReplaceAll(c, `"`, `""`)...)
		b = append(b, '"')
	}
	return append(b, "\r\n"...), nil
}

// A spreadsheet takes a cell for a formula that begins with one of formulas, the wide
// ones of East Asia included. It begins a cell behind parts, whichever of them its
// country parts cells with, and after a quote, which it may read as an end.
const (
	formulas = "=+-@＝＋－＠"
	parts    = ",;|\t\"'"
)

// textCell is a text without formulas and without what acts on a terminal.
func textCell(s string) string {
	var b strings.Builder
	fresh := true
	for _, r := range s {
		if fresh && strings.ContainsRune(formulas, r) {
			b.WriteByte('\'')
		}
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		fresh = strings.ContainsRune(parts, r) || fresh && r == ' ' || r < ' '
	}
	return b.String()
}

// jsonCell is a value as JSON whose texts hold no formulas: what would begin one is
// escaped, so that the value stays the same.
func jsonCell(v any) (string, error) {
	text, err := appendLine(nil, v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	inside, fresh := false, false
	for s := strings.TrimSuffix(string(text), "\n"); s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case inside && r == '\\':
			n = 2 // with what it escapes; what begins is no formula
			b.WriteString(s[:n])
			fresh = true
		case inside && fresh && strings.ContainsRune(formulas, r):
			fmt.Fprintf(&b, `\u%04x`, r)
			fresh = false
		default:
			inside = inside != (r == '"')
			b.WriteString(s[:n])
			fresh = strings.ContainsRune(parts, r) || fresh && r == ' '
		}
		s = s[n:]
	}
	return b.String(), nil
}

package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"regexp"
)

// Source is a program whose lines [Recorder.Import] reads.
type Source string

const (
	// PGAudit is the extension pgaudit, in PostgreSQL's log: as csvlog or, with
	// whatever prefix, as stderr. A record may have several lines.
	PGAudit Source = "pgaudit"
	// SSHD is OpenSSH's server in lines of syslog, or of journalctl -o short or
	// short-iso.
	SSHD Source = "sshd"
)

// ErrSource says that there is no such [Source].
var ErrSource = errors.New("audit: unknown source of lines")

// sourceForm is how a source's records look.
type sourceForm struct {
	is *regexp.Regexp
	// goesOn reports whether the next line, which begins with first, belongs to a
	// record that has begun with text and has quotes quotation marks so far.
	goesOn func(text []byte, quotes int, first byte) bool
}

var sources = map[Source]sourceForm{
	PGAudit: {
		// Of stderr the first word with a colon and two blanks is what the server says.
		is:     regexp.MustCompile(`^(` + csvBegin + `[^\n]*,LOG,[0-9A-Z]{5},"AUDIT: (SESSION|OBJECT),|[^\n]*?LOG:  AUDIT: (SESSION|OBJECT),)`),
		goesOn: pgGoesOn,
	},
	SSHD: {
		is:     regexp.MustCompile(`^(<[0-9]{1,3}>)?([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,+-]{8,24}Z?) \S{1,255} sshd(-session|-auth)?\[[0-9]+\]: `),
		goesOn: func([]byte, int, byte) bool { return false },
	},
}

// csvBegin is the time at the beginning of a record of csvlog.
const csvBegin = `[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]{8,12} [A-Za-z0-9+:-]{1,10},`

var isCSV = regexp.MustCompile(`^` + csvBegin)

// pgGoesOn: a record of csvlog ends where its quotation marks are even; of stderr,
// further lines begin with a tabulator.
func pgGoesOn(text []byte, quotes int, first byte) bool {
	if isCSV.Match(text) {
		return quotes%2 == 1
	}
	return first == '\t'
}

// record is one line, or several that belong together.
type record struct {
	text   []byte            // at most MaxImport bytes, without the last line break
	digest [sha256.Size]byte // of all bytes but the last line break, also those that were cut
	cut    bool
}

// recordReader reads records in bounded memory, whatever the lines hold.
type recordReader struct {
	in     *bufio.Reader
	goesOn func(text []byte, quotes int, first byte) bool
}

// next is the next record, or [io.EOF].
func (r *recordReader) next() (record, error) {
	var rec record
	var end []byte // line breaks, which count where something follows
	digest, quotes := sha256.New(), 0
	for {
		piece, err := r.in.ReadSlice('\n')
		if len(piece) == 0 && err != nil {
			if errors.Is(err, io.EOF) && (len(rec.text) > 0 || rec.cut) {
				return rec.ended(digest.Sum(nil)), nil
			}
			return record{}, err
		}
		quotes += bytes.Count(piece, []byte{'"'})
		body := bytes.TrimRight(piece, "\r\n")
		if len(body) > 0 {
			digest.Write(append(end, body...))
			end = end[:0]
		}
		if end = append(end, piece[len(body):]...); len(end) > MaxImport {
			digest.Write(end)
			end = end[:0]
		}
		keep := min(len(piece), MaxImport-len(rec.text))
		rec.text = append(rec.text, piece[:keep]...)
		rec.cut = rec.cut || keep < len(piece)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return record{}, err
		}
		if ahead, peekErr := r.in.Peek(1); peekErr == nil && r.goesOn(rec.text, quotes, ahead[0]) {
			continue
		}
		return rec.ended(digest.Sum(nil)), nil
	}
}

func (rec record) ended(digest []byte) record {
	rec.text = bytes.TrimRight(rec.text, "\r\n")
	rec.digest = [sha256.Size]byte(digest)
	return rec
}

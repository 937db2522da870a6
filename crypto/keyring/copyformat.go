package keyring

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"
)

// The lines of a copy: docs/formats/keystore-copy.md.
const (
	copyTitle = "art32 keystore copy v1"
	copyLabel = "art32/keystore-copy/v1"
	copyName  = "copy" // under which the root wraps the key of the code
	copyTime  = "2006-01-02T15:04:05.000Z"

	maxCopyLine = 128 << 10
	maxWrapped  = 64 << 10
	maxName     = 200
)

type copyHeader struct {
	Format string `json:"format"`
	At     string `json:"at"`
	Key    []byte `json:"key"` // of the code, wrapped by the root
}

type copyRecord struct {
	Tenant  uuid.UUID `json:"tenant"`
	Name    string    `json:"name"`
	Version uint32    `json:"version"`
	State   State     `json:"state"`
	Wrapped []byte    `json:"wrapped,omitempty"`
	Created int64     `json:"created"` // milliseconds since 1970
	Changed int64     `json:"changed"`
	Uses    int64     `json:"uses,omitempty"`
}

// copyEnd stands in the last line. What comes before it is authenticated.
type copyEnd struct {
	Records int64  `json:"records"`
	MAC     []byte `json:"mac"`
}

var copyEndStart = []byte(`{"records":`)

var errTorn = errors.New("it does not end as a whole copy does: it was cut off while it was written or carried")

// copyWriter writes the lines and computes the code over them.
type copyWriter struct {
	w       *bufio.Writer
	mac     hash.Hash
	records int64
}

func newCopyWriter(w io.Writer, key []byte, h copyHeader) (*copyWriter, error) {
	c := &copyWriter{w: bufio.NewWriter(w), mac: newCopyMAC(key)}
	return c, c.line(h, true)
}

func newCopyMAC(key []byte) hash.Hash {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(copyLabel))
	return mac
}

func (c *copyWriter) line(v any, inMAC bool) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if inMAC {
		c.mac.Write(text)
	}
	_, err = c.w.Write(text)
	return err
}

func (c *copyWriter) record(r CopiedRecord) error {
	c.records++
	return c.line(copyRecord{
		Tenant: r.Tenant, Name: r.Name, Version: r.Version, State: r.State, Wrapped: r.Wrapped,
		Created: r.Created.UnixMilli(), Changed: r.Changed.UnixMilli(), Uses: r.Uses,
	}, true)
}

func (c *copyWriter) end() error {
	if err := c.line(copyEnd{Records: c.records, MAC: c.mac.Sum(nil)}, false); err != nil {
		return err
	}
	return c.w.Flush()
}

// copyReader reads the lines again.
type copyReader struct {
	r       *bufio.Reader
	mac     hash.Hash
	records int64
	first   []byte // the header's line, until its key is known
}

func newCopyReader(r io.Reader) (*copyReader, copyHeader, time.Time, error) {
	c := &copyReader{r: bufio.NewReaderSize(r, maxCopyLine)}
	var h copyHeader
	line, err := c.line()
	if err != nil {
		return nil, h, time.Time{}, err
	}
	if err := strictly(line, &h); err != nil || h.Format != copyTitle {
		return nil, h, time.Time{}, fmt.Errorf("it is no %q", copyTitle)
	}
	at, err := time.Parse(copyTime, h.At)
	if err != nil {
		return nil, h, at, errors.New("its time is none")
	}
	c.first = bytes.Clone(line)
	return c, h, at, nil
}

// authenticate sets the key of the code, before the first record is read.
func (c *copyReader) authenticate(key []byte) {
	c.mac = newCopyMAC(key)
	c.mac.Write(c.first)
}

// next returns a record, or io.EOF once the code over all of them was right.
func (c *copyReader) next() (CopiedRecord, error) {
	line, err := c.line()
	if err != nil {
		return CopiedRecord{}, err
	}
	if bytes.HasPrefix(line, copyEndStart) {
		return CopiedRecord{}, c.atEnd(line)
	}
	c.mac.Write(line)
	c.records++
	return parseCopied(line)
}

func (c *copyReader) atEnd(line []byte) error {
	var end copyEnd
	err := strictly(line, &end)
	again, errAgain := json.Marshal(end)
	switch {
	case err != nil || errAgain != nil || !bytes.Equal(append(again, '\n'), line): // no code covers this line
		return errTorn
	case !hmac.Equal(c.mac.Sum(nil), end.MAC):
		return errors.New("its code does not match: it was changed")
	case end.Records != c.records:
		return errors.New("it has another number of records than it says")
	}
	if _, err := c.r.ReadByte(); err == nil {
		return errors.New("something stands behind its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}

// line returns the next whole line, valid until the one after it is read.
func (c *copyReader) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil, errTorn
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errors.New("a line of it is too long")
	}
	return line, err
}

// strictly reads one JSON value and nothing else.
func strictly(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func parseCopied(line []byte) (CopiedRecord, error) {
	var r copyRecord
	if strictly(line, &r) != nil { // whose error quotes the line
		return CopiedRecord{}, errors.New("a line of it is no record")
	}
	serves := r.State == Active || r.State == Retired
	gone := r.State == Destroyed || r.State == Erased
	if r.Name == "" || len(r.Name) > maxName || r.Version == 0 || r.Uses < 0 ||
		!serves && !gone || serves != (len(r.Wrapped) > 0) || len(r.Wrapped) > maxWrapped {
		return CopiedRecord{}, errors.New("a record of it cannot be")
	}
	return CopiedRecord{Record: Record{
		Tenant: r.Tenant, Name: r.Name, Version: r.Version, State: r.State, Wrapped: r.Wrapped,
		Created: time.UnixMilli(r.Created), Changed: time.UnixMilli(r.Changed),
	}, Uses: r.Uses}, nil
}

package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/art32/art32/tenancy"
)

// Files that each part holds beside those of its source.
const (
	tenantFile = "TENANT.json" // first in a tenant's part
	tablesFile = "TABLES.json" // last in every part but that of the keystore
)

// tenantInfo is what TENANT.json holds.
type tenantInfo struct {
	ID tenancy.ID `json:"id"`
}

// compressors are shared by all parts of all runs: each is several MiB.
var compressors = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil { // unreachable: the options are constant
		return err
	}
	return z
}}

// part writes one object: a tar whose files are zstd frames of their own, in
// one age stream. It is used by one goroutine.
type part struct {
	object Object
	sum    hash.Hash
	size   int64
	age    io.WriteCloser
	tar    *tar.Writer
	frame  *zstd.Encoder // of the file that is being written
	at     time.Time
	begun  File  // what is known at the beginning
	done   *File // nil while the part is open
}

// newPart begins a part. The recipients are all that can open it.
func newPart(object Object, name string, at time.Time, to []string) (*part, error) {
	p := &part{object: object, sum: sha256.New(), at: at, begun: File{Name: name, Recipients: to}}
	recipients, err := age.ParseRecipients(strings.NewReader(strings.Join(to, "\n") + "\n"))
	if err != nil {
		return nil, errors.Join(errors.New("backup: a recipient is none"), object.Abort())
	}
	if p.age, err = age.Encrypt(sized{p}, recipients...); err != nil {
		return nil, errors.Join(err, object.Abort())
	}
	p.tar = tar.NewWriter(framed{p})
	return p, nil
}

// sized takes the ciphertext.
type sized struct{ p *part }

func (s sized) Write(b []byte) (int, error) {
	n, err := s.p.object.Write(b)
	s.p.sum.Write(b[:n])
	s.p.size += int64(n)
	return n, err
}

// framed takes the tar.
type framed struct{ p *part }

func (f framed) Write(b []byte) (int, error) { return f.p.frame.Write(b) }

// inFrame lets fn write the tar into a zstd frame of its own, so that no
// compressor is held between the files of a part.
func (p *part) inFrame(fn func() error) error {
	z, ok := compressors.Get().(*zstd.Encoder)
	if !ok {
		return errors.New("backup: no compressor")
	}
	z.Reset(p.age)
	p.frame = z
	err := errors.Join(fn(), z.Close())
	p.frame = nil
	z.Reset(nil)
	compressors.Put(z)
	return err
}

// file adds a file. r must yield exactly size bytes.
func (p *part) file(name string, size int64, r io.Reader) error {
	if !validName(name) || size < 0 {
		return errors.New("backup: a source names a file as none can be named")
	}
	return p.inFrame(func() error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: p.at.Truncate(time.Second)}
		if err := p.tar.WriteHeader(h); err != nil {
			return err
		}
		n, err := io.Copy(p.tar, io.LimitReader(r, size))
		if err == nil && n != size {
			err = fmt.Errorf("backup: file %s ended after %d of %d bytes", name, n, size)
		}
		return errors.Join(err, p.tar.Flush())
	})
}

func (p *part) json(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	return p.file(name, int64(len(text)), newReader(text))
}

// close ends the part; from then on it is in the target under its name.
func (p *part) close(ctx context.Context) error {
	if err := p.inFrame(p.tar.Close); err != nil {
		return err
	}
	if err := p.age.Close(); err != nil {
		return err
	}
	if err := p.object.Commit(ctx); err != nil {
		return err
	}
	p.done = &p.begun
	p.done.Size, p.done.SHA256 = p.size, hex.EncodeToString(p.sum.Sum(nil))
	return nil
}

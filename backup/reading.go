package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a frame may ask for. Ours ask for less.
const maxWindow = 32 << 20

// maxText bounds what is read into memory as a whole.
const maxText = 64 << 20

// maxManifest bounds a manifest, and with it what a listing reads of a folder
// that somebody filled. It is enough for 50 000 tenants.
const maxManifest = 16 << 20

func newReader(text []byte) io.Reader { return bytes.NewReader(text) }

// opener opens an object of a run or of the vault by its name.
type opener func(ctx context.Context, name string) (io.ReadCloser, error)

// readText reads a manifest or its signature.
func readText(ctx context.Context, open opener, name string) (text []byte, err error) {
	r, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	text, err = io.ReadAll(io.LimitReader(contextReader{ctx, r}, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = damaged(name, "too long")
	}
	return text, err
}

// noted keeps the first error of a reader, to tell it from those of others.
type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// measured counts and hashes what is read through it.
type measured struct {
	noted

	sum  hash.Hash
	size int64
}

func measure(r io.Reader) *measured { return &measured{noted: noted{r: r}, sum: sha256.New()} }

func (m *measured) Read(b []byte) (int, error) {
	n, err := m.noted.Read(b)
	m.sum.Write(b[:n])
	m.size += int64(n)
	return n, err
}

// copyTo copies an object, and compares it with what the manifest says. It reads
// no further than one byte behind the end that the manifest names.
func (m *measured) copyTo(w io.Writer, want File) error {
	if _, err := io.Copy(w, io.LimitReader(m, want.Size+1)); err != nil {
		return fmt.Errorf("read %s: %w", want.Name, err)
	}
	switch {
	case m.size < want.Size:
		return damaged(want.Name, "cut: %d of %d bytes", m.size, want.Size)
	case m.size > want.Size || hex.EncodeToString(m.sum.Sum(nil)) != want.SHA256:
		return damaged(want.Name, "changed: its SHA-256 is not the one that the manifest names")
	}
	return nil
}

// checkFile compares an object with what the manifest says.
func checkFile(ctx context.Context, open opener, want File) error {
	return copyFile(ctx, open, want, io.Discard)
}

// copyFile copies an object while it compares it with what the manifest says.
func copyFile(ctx context.Context, open opener, want File, to io.Writer) (err error) {
	r, err := open(ctx, want.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(want.Name, "missing")
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", want.Name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return measure(contextReader{ctx, r}).copyTo(to, want)
}

// contextReader ends reading with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// takeFile takes one file of a part.
type takeFile func(name string, size int64, r io.Reader) error

// readPart opens a part and hands its files to take. The ciphertext is read
// once, into a private copy, and what is decoded is that copy, after its digest
// was found right: whoever can write the target cannot change a byte in between.
func readPart(ctx context.Context, open opener, want File, ids []age.Identity, take takeFile) (err error) {
	own, err := newScratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	if err := copyFile(ctx, open, want, own.file); err != nil {
		return err
	}
	if _, err := own.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the copy of %s: %w", want.Name, err)
	}
	m := &noted{r: contextReader{ctx, own.file}}
	if err := decode(m, want.Name, ids, take); err != nil {
		if m.err != nil {
			return fmt.Errorf("read the copy of %s: %w", want.Name, m.err)
		}
		return err
	}
	return nil
}

// decode unpacks age, zstd and tar.
func decode(r io.Reader, name string, ids []age.Identity, take takeFile) error {
	plain, err := age.Decrypt(r, ids...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return fmt.Errorf("%w: %s", ErrIdentity, name)
		}
		return damaged(name, "its header does not open")
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return damaged(name, "it does not unpack")
	}
	defer z.Close()
	if err := untar(z, name, take); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, z); err != nil { // age notices a cut at the end only
		return damaged(name, "it does not decrypt to its end")
	}
	return nil
}

func untar(r io.Reader, name string, take takeFile) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || h.Typeflag != tar.TypeReg || !validName(h.Name) {
			return damaged(name, "it does not unpack")
		}
		in := &noted{r: t}
		err = take(h.Name, h.Size, in)
		if in.err != nil {
			return damaged(name, "it does not unpack")
		}
		if err != nil {
			return err
		}
	}
}

// readJSON reads a small file of a part.
func readJSON(r io.Reader, v any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

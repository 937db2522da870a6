package field_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/art32/art32/crypto/field"
)

var file = field.Scope{Tenant: "acme", Table: "documents", Column: "content", Row: "7"}

const (
	head  = 69
	piece = field.ChunkSize + 28
)

// lengths are those at which the chunks of a stream change their number.
var lengths = []int{
	0, 1, 1000, field.ChunkSize - 1, field.ChunkSize, field.ChunkSize + 1, 2 * field.ChunkSize, 2*field.ChunkSize + 1, 3*field.ChunkSize - 1,
}

// content is n bytes that repeat at no chunk.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func sealStream(tb testing.TB, c *field.Cipher, plain []byte, s field.Scope) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := c.SealStream(&out, s)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// openAt and openFrom read a stream in its two ways.
func openAt(c *field.Cipher, sealed []byte, s field.Scope) ([]byte, error) {
	r, err := c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), s)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func openFrom(c *field.Cipher, sealed []byte, s field.Scope) ([]byte, error) {
	r, err := c.ReadStream(bytes.NewReader(sealed), s)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestStream(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	for _, n := range lengths {
		plain := content(n)
		sealed := sealStream(t, c, plain, file)
		if int64(len(sealed)) != field.StreamSize(int64(n)) {
			t.Errorf("%d bytes became %d, not %d", n, len(sealed), field.StreamSize(int64(n)))
		}
		if v, ok := field.StreamKeyVersion(sealed); v != 1 || !ok {
			t.Errorf("key version %d, %t", v, ok)
		}
		if got, err := openAt(c, sealed, file); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d from any place, %v", n, len(got), err)
		}
		if got, err := openFrom(c, sealed, file); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d from the beginning, %v", n, len(got), err)
		}
		if n > 16 && bytes.Contains(sealed, plain[:16]) {
			t.Errorf("%d bytes: stand in clear", n)
		}
	}
}

// TestStreamWrites splits the same content in many ways.
func TestStreamWrites(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, field.ChunkSize, field.ChunkSize + 1, 2 * field.ChunkSize} {
		plain := content(n)
		for name, write := range map[string]func(w *field.StreamWriter) error{
			"pieces": func(w *field.StreamWriter) error {
				for rest := plain; len(rest) > 0; {
					k := min(len(rest), random.IntN(2*field.ChunkSize))
					if m, err := w.Write(rest[:k]); err != nil || m != k {
						return fmt.Errorf("%d of %d: %w", m, k, err)
					}
					rest = rest[k:]
				}
				return nil
			},
			"copy":      func(w *field.StreamWriter) error { return copied(io.Copy(w, bytes.NewReader(plain)))(n) },
			"read from": func(w *field.StreamWriter) error { return copied(w.ReadFrom(bytes.NewBuffer(plain)))(n) },
			"bit by bit": func(w *field.StreamWriter) error {
				return copied(w.ReadFrom(iotest.HalfReader(bytes.NewReader(plain))))(n)
			},
			"end with it": func(w *field.StreamWriter) error {
				return copied(w.ReadFrom(iotest.DataErrReader(bytes.NewReader(plain))))(n)
			},
			"write, read": func(w *field.StreamWriter) error {
				_, _ = w.Write(plain[:n/2])
				return copied(w.ReadFrom(bytes.NewReader(plain[n/2:])))(n - n/2)
			},
			"and nothing": func(w *field.StreamWriter) error {
				_, _ = w.Write(plain)
				return copied(w.ReadFrom(strings.NewReader("")))(0)
			},
			"nothing more": func(w *field.StreamWriter) error { _, _ = w.Write(plain); _, err := w.Write(nil); return err },
		} {
			var out bytes.Buffer
			w := must(c.SealStream(&out, file))
			if err := errors.Join(write(w), w.Close(), w.Close()); err != nil {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
			if got, err := openAt(c, out.Bytes(), file); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: %d came back, %v", name, n, len(got), err)
			}
		}
	}
}

func copied(n int64, err error) func(want int) error {
	return func(want int) error {
		if err == nil && n != int64(want) {
			err = fmt.Errorf("%d copied", n)
		}
		return err
	}
}

// TestStreamReads reads any place, into any length.
func TestStreamReads(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range lengths {
		plain := content(n)
		sealed := sealStream(t, c, plain, file)
		r := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), file))
		if err := iotest.TestReader(io.NewSectionReader(r, 0, min(int64(n), 3000)), plain[:min(n, 3000)]); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if r.Size() != int64(n) {
			t.Errorf("size %d, want %d", r.Size(), n)
		}
		for range 50 {
			off, length := random.IntN(n+1), random.IntN(2*field.ChunkSize+2)
			want := plain[off:min(n, off+length)]
			got := make([]byte, length)
			k, err := r.ReadAt(got, int64(off))
			if k != len(want) || !bytes.Equal(got[:k], want) || (err == nil) != (k == length) || err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("%d of %d at %d: %d, %v", length, n, off, k, err)
			}
			if at, err := r.Seek(int64(off), io.SeekStart); at != int64(off) || err != nil {
				t.Fatalf("seek: %d, %v", at, err)
			}
			if _, err := io.ReadFull(r, got[:len(want)]); err != nil || !bytes.Equal(got[:len(want)], want) {
				t.Fatalf("read: %v", err)
			}
		}
		if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("read before the beginning")
		}
		if k, err := r.ReadAt(make([]byte, 1), int64(n)+1<<40); k != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read behind the end: %d, %v", k, err)
		}
		whole := must(c.ReadStream(bytes.NewReader(sealed), file))
		if got, err := io.ReadAll(iotest.OneByteReader(whole)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("byte by byte: %v", err)
		}
	}
}

// reads notes what is read of a source.
type reads struct {
	*bytes.Reader

	bytes int
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	r.bytes += len(p)
	return r.Reader.ReadAt(p, off)
}

func TestStreamReadsNoMore(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	sealed := sealStream(t, c, content(10*field.ChunkSize), file)
	src := &reads{Reader: bytes.NewReader(sealed)}
	r := must(c.OpenStream(src, int64(len(sealed)), file))
	if src.bytes != head+piece {
		t.Errorf("%d bytes read to open", src.bytes)
	}
	src.bytes = 0
	for range 10 {
		must(r.ReadAt(make([]byte, 100), 5*field.ChunkSize+50))
	}
	if src.bytes != piece {
		t.Errorf("%d bytes read for a hundred", src.bytes)
	}
	src.bytes = 0
	must(r.ReadAt(make([]byte, 4), 7*field.ChunkSize-2))
	if src.bytes != 2*piece {
		t.Errorf("%d bytes read across a border", src.bytes)
	}
}

func TestStreamConcurrentReads(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	plain := content(3*field.ChunkSize + 5)
	sealed := sealStream(t, c, plain, file)
	r := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), file))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for off := i * 1000; off < len(plain); off += 20_000 {
				got := make([]byte, min(30_000, len(plain)-off))
				if _, err := r.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, plain[off:off+len(got)]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}

// parts are a stream taken apart: header and chunks.
func parts(sealed []byte) [][]byte {
	return append([][]byte{sealed[:head]}, slices.Collect(slices.Chunk(sealed[head:], piece))...)
}

// TestStreamRefusals changes one thing at a time: every one is the same error.
func TestStreamRefusals(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	const n = 2*field.ChunkSize + 10
	sealed, other := sealStream(t, c, content(n), file), sealStream(t, c, content(n), file)
	a, b := parts(sealed), parts(other)
	row := file
	row.Row = "8"
	elsewhere := parts(sealStream(t, c, content(n), row))
	empty := parts(sealStream(t, c, nil, file))
	whole := parts(sealStream(t, c, content(field.ChunkSize), file))
	flip := func(at int) []byte {
		out := slices.Clone(sealed)
		out[at] ^= 1
		return out
	}
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	changed := map[string][]byte{
		"nothing":                      nil,
		"header alone":                 a[0],
		"header cut":                   sealed[:head-1],
		"last byte cut":                sealed[:len(sealed)-1],
		"last chunk cut":               join(a[0], a[1], a[2]),
		"last two chunks cut":          join(a[0], a[1]),
		"cut within a chunk":           sealed[:head+piece+100],
		"cut to a tag":                 sealed[:head+28],
		"extended by a byte":           append(slices.Clone(sealed), 0),
		"extended by its last chunk":   join(sealed, a[3]),
		"extended by a first chunk":    join(sealed, a[1]),
		"extended by an empty chunk":   join(sealed, empty[1]),
		"an empty chunk after a whole": join(whole[0], whole[1], empty[1]),
		"doubled":                      join(sealed, sealed),
		"first chunk left out":         join(a[0], a[2], a[3]),
		"middle chunk left out":        join(a[0], a[1], a[3]),
		"chunks exchanged":             join(a[0], a[2], a[1], a[3]),
		"chunk twice":                  join(a[0], a[1], a[1], a[3]),
		"last chunk in front":          join(a[0], a[3], a[1], a[2]),
		"chunk of another stream":      join(a[0], a[1], b[2], a[3]),
		"end of another stream":        join(a[0], a[1], a[2], b[3]),
		"header of another stream":     join(b[0], a[1], a[2], a[3]),
		"header of another row":        join(elsewhere[0], a[1], a[2], a[3]),
		"chunk of another row":         join(a[0], a[1], elsewhere[2], a[3]),
		"of another row":               join(elsewhere...),
		"header with another end":      join(a[0][:37], b[0][37:], a[1], a[2], a[3]),
		"a field":                      must(c.Seal(nil, content(100), file)),
		"first byte of a field":        append([]byte{1}, sealed[1:]...),
	}
	for i := range head {
		changed[fmt.Sprintf("header byte %d", i)] = flip(i)
	}
	for _, at := range []int{head, head + 12, head + piece - 1, head + piece, head + 2*piece - 20, head + 2*piece + 15, len(sealed) - 1} {
		changed[fmt.Sprintf("byte %d", at)] = flip(at)
	}
	for name, sealed := range changed {
		refused(t, name, c, sealed, file, n)
	}
	for name, s := range map[string]field.Scope{
		"tenant": {"other", "documents", "content", "7"}, "table": {"acme", "invoices", "content", "7"},
		"column": {"acme", "documents", "preview", "7"}, "row": {"acme", "documents", "content", "8"},
		"shifted": {"acmed", "ocuments", "content", "7"}, "none": {},
		"too long": {"acme", "documents", "content", strings.Repeat("7", 1<<17)},
	} {
		refused(t, "other "+name, c, sealed, s, n)
	}
	refused(t, "other key", newCipher(t, 2), sealed, file, n)
	refused(t, "other version", must(field.NewCipher(2, bytes.Repeat([]byte{1}, 32))), sealed, file, n)
	if got, err := c.Open(nil, sealed[:head], file); got != nil || !errors.Is(err, field.ErrOpen) {
		t.Errorf("a stream as a field: %v", err)
	}
	if _, err := openAt(c, sealed, file); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// refused reads a changed stream in both ways, and wants no byte that is wrong.
func refused(t *testing.T, name string, c *field.Cipher, sealed []byte, s field.Scope, n int) {
	t.Helper()
	for how, open := range map[string]func(*field.Cipher, []byte, field.Scope) ([]byte, error){"at": openAt, "from": openFrom} {
		got, err := open(c, sealed, s)
		if !errors.Is(err, field.ErrOpen) || err.Error() != field.ErrOpen.Error() {
			t.Errorf("%s, %s: %v", name, how, err)
		}
		if !bytes.HasPrefix(content(n), got) {
			t.Errorf("%s, %s: wrong content came out", name, how)
		}
	}
	if len(sealed) < head || bytes.Equal(sealed[head:], nil) {
		return
	}
	if r, err := c.OpenStream(bytes.NewReader(sealed), int64(len(sealed))+1<<30, s); !errors.Is(err, field.ErrOpen) || r != nil {
		t.Errorf("%s, with a wrong length: %v", name, err)
	}
}

func TestStreamScopeIsComplete(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	for name, s := range map[string]field.Scope{
		"no tenant": {"", "t", "c", "r"}, "no row": {"a", "t", "c", ""}, "huge row": {"a", "t", "c", strings.Repeat("x", 1<<16+1)},
	} {
		if w, err := c.SealStream(io.Discard, s); !errors.Is(err, field.ErrScope) || w != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStreamVersions: older versions of the key open what they sealed.
func TestStreamVersions(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	first, second := versionOf(t, 1), versionOf(t, 2)
	both := second.With(first)
	old, current := sealStream(t, first, content(10), file), sealStream(t, both, content(10), file)
	if v, _ := field.StreamKeyVersion(current); v != 2 {
		t.Errorf("sealed with version %d", v)
	}
	for name, sealed := range map[string][]byte{"old": old, "current": current} {
		if got, err := openAt(both, sealed, file); err != nil || len(got) != 10 {
			t.Errorf("%s: %v", name, err)
		}
	}
	old[4] = 2 // claims to be of the newer version
	refused(t, "renamed version", both, old, file, 10)
	refused(t, "version that is not there", first, current, file, 10)
	if _, ok := field.StreamKeyVersion(must(first.Seal(nil, nil, file))); ok {
		t.Error("a field names the version of a stream")
	}
}

var errDisk = errors.New("disk full")

// failing is a store that takes n writes.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestStreamErrors(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	plain := content(3 * field.ChunkSize)
	if _, err := c.SealStream(&failing{0}, file); !errors.Is(err, errDisk) {
		t.Errorf("header: %v", err)
	}
	for n := 1; n < 4; n++ {
		w := must(c.SealStream(&failing{n}, file))
		k, err := w.Write(plain)
		if n < 3 && (!errors.Is(err, errDisk) || k == len(plain)) {
			t.Errorf("%d writes: %d, %v", n, k, err)
		}
		for range 2 {
			if err := w.Close(); !errors.Is(err, errDisk) {
				t.Errorf("%d writes, close: %v", n, err)
			}
		}
	}
	w := must(c.SealStream(io.Discard, file))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write([]byte("x")); n != 0 || err == nil {
		t.Error("written after the end")
	}
	sealed := sealStream(t, c, plain, file)
	if _, err := c.ReadStream(iotest.ErrReader(errDisk), file); !errors.Is(err, errDisk) {
		t.Errorf("read header: %v", err)
	}
	r := must(c.ReadStream(io.MultiReader(bytes.NewReader(sealed[:100_000]), iotest.ErrReader(errDisk)), file))
	if _, err := io.ReadAll(r); !errors.Is(err, errDisk) || errors.Is(err, field.ErrOpen) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.OpenStream(brokenAt{}, int64(len(sealed)), file); !errors.Is(err, errDisk) {
		t.Errorf("open: %v", err)
	}
}

type brokenAt struct{}

func (brokenAt) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestStreamGivenUp: what was not read to its end never passes for whole.
func TestStreamGivenUp(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	for _, n := range lengths {
		var out bytes.Buffer
		w := must(c.SealStream(&out, file))
		_, err := io.Copy(w, io.MultiReader(bytes.NewReader(content(n)), iotest.ErrReader(errDisk)))
		if closed := w.Close(); !errors.Is(err, errDisk) || !errors.Is(closed, errDisk) {
			t.Errorf("%d bytes: %v, %v", n, err, closed)
		}
		refused(t, "given up", c, out.Bytes(), file, n)
	}
}

// TestStreamGivenUpByWriterTo: a source that would rather write by itself, which
// io.Copy lets it do, is read by ReadFrom all the same.
func TestStreamGivenUpByWriterTo(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	for _, n := range lengths {
		var out bytes.Buffer
		w := must(c.SealStream(&out, file))
		_, err := w.ReadFrom(&torn{io.MultiReader(bytes.NewReader(content(n)), iotest.ErrReader(errDisk))})
		if closed := w.Close(); !errors.Is(err, errDisk) || !errors.Is(closed, errDisk) {
			t.Errorf("%d bytes: %v, %v", n, err, closed)
		}
		refused(t, "given up", c, out.Bytes(), file, n)
	}
	var out bytes.Buffer
	w := must(c.SealStream(&out, file))
	if _, err := io.Copy(w, &torn{iotest.ErrReader(errDisk)}); !errors.Is(err, errDisk) {
		t.Errorf("io.Copy: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("io.Copy told the stream, which the documentation denies: %v", err)
	}
}

// TestStreamGivenUpAtWrappedEOF: many a network client says so that it lost the
// connection.
func TestStreamGivenUpAtWrappedEOF(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	lost := fmt.Errorf("connection lost: %w", io.EOF)
	for _, n := range lengths {
		var out bytes.Buffer
		w := must(c.SealStream(&out, file))
		_, err := w.ReadFrom(io.MultiReader(bytes.NewReader(content(n)), iotest.ErrReader(lost)))
		if closed := w.Close(); !errors.Is(err, lost) || !errors.Is(closed, lost) {
			t.Errorf("%d bytes: %v, %v", n, err, closed)
		}
		refused(t, "given up", c, out.Bytes(), file, n)
	}
}

// torn is a source that breaks off, and an [io.WriterTo].
type torn struct{ io.Reader }

func (s *torn) WriteTo(w io.Writer) (int64, error) { return io.Copy(struct{ io.Writer }{w}, s.Reader) }

func TestStreamTooLong(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	var out bytes.Buffer
	w := must(c.SealStream(&out, file))
	field.SkipChunks(w, field.MaxStream/field.ChunkSize-1)
	if _, err := w.Write(make([]byte, field.ChunkSize)); err != nil {
		t.Errorf("the last that fits: %v", err)
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, field.ErrTooLong) && !errors.Is(w.Close(), field.ErrTooLong) {
		t.Errorf("one more: %v", err)
	}
	for _, size := range []int64{field.StreamSize(field.MaxStream + 1), 1<<63 - 1, -1, 0} {
		if _, err := c.OpenStream(bytes.NewReader(out.Bytes()), size, file); !errors.Is(err, field.ErrOpen) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// TestStreamPrintsNothing, neither content nor key.
func TestStreamPrintsNothing(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	plain := []byte(strings.Repeat(canary, 10))
	sealed := sealStream(t, c, plain, file)
	w := must(c.SealStream(io.Discard, file))
	must(w.Write(plain))
	at := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), file))
	from := must(c.ReadStream(bytes.NewReader(sealed), file))
	must(from.Read(make([]byte, 5)))
	for name, v := range map[string]any{
		"writer": w, "reader": from, "stream": at,
		"hidden": struct {
			w *field.StreamWriter
			r *field.StreamReader
			s *field.Stream
			v field.Stream
		}{w, from, at, *at},
	} {
		for _, verb := range "vsqxXdt" {
			for _, flags := range []string{"", "+", "#"} {
				format := "%" + flags + string(verb)
				check(t, name+" "+format, fmt.Sprintf(format, v))
			}
		}
	}
}

func FuzzOpenStream(f *testing.F) {
	c := newCipher(f, 1)
	for _, v := range readStreamVectors(f) {
		if sealed := unhex(f, v.Ciphertext); len(sealed) < 1000 {
			f.Add(sealed, v.Row)
		}
	}
	f.Add([]byte{0x81}, "7")
	f.Add(make([]byte, head+piece+30), "7")
	f.Fuzz(func(t *testing.T, sealed []byte, row string) {
		s := file
		s.Row = row
		for _, open := range []func(*field.Cipher, []byte, field.Scope) ([]byte, error){openAt, openFrom} {
			if got, err := open(c, sealed, s); !errors.Is(err, field.ErrOpen) || len(got) != 0 {
				t.Errorf("a stream that was never sealed opens to %q: %v", got, err)
			}
		}
	})
}

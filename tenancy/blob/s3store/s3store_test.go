package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/blobtest"
	"github.com/art32/art32/tenancy/blob/s3store"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func open(t *testing.T, o *s3store.Options) *s3store.Place {
	t.Helper()
	client, name := bucket(t)
	p, err := s3store.New(client, name, o)
	must(t, err)
	return p
}

func TestPlace(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Place {
		t.Helper()
		return open(t, nil)
	})
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Place {
		t.Helper()
		client, name := bucket(t)
		o := minio.PutObjectOptions{}
		_, err := client.PutObject(t.Context(), name, "tenants/other", strings.NewReader("x"), 1, o)
		must(t, err)
		p, err := s3store.New(client, name, &s3store.Options{Prefix: "app/blobs/"})
		must(t, err)
		return p
	})
}

// Nothing is sent in clear to another machine.
func TestGuarded(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	for endpoint, want := range map[string]bool{
		"s3.example.org": false, "192.0.2.1:9000": false, "localhost.example.org": false, "127.0.0.1.example.org": false,
		"localhost:9000": true, "127.0.0.1:9000": true, "[::1]:9000": true,
	} {
		for _, secure := range []bool{false, true} {
			client, err := minio.New(endpoint, &minio.Options{Creds: credentials.NewStaticV4("a", "b", ""), Secure: secure})
			must(t, err)
			if _, err := s3store.New(client, "bucket", nil); (err == nil) != (want || secure) {
				t.Errorf("%s, TLS %v: %v", endpoint, secure, err)
			}
		}
	}
	client, name := bucket(t)
	for _, prefix := range []string{"a", "/", "/a/", "../", "a/../", "a//", "ä/"} {
		if _, err := s3store.New(client, name, &s3store.Options{Prefix: prefix}); err == nil {
			t.Errorf("the prefix %q is taken", prefix)
		}
	}
	if _, err := s3store.New(nil, name, nil); err == nil {
		t.Error("no client")
	}
	if _, err := s3store.New(client, "", nil); err == nil {
		t.Error("no bucket")
	}
}

// What a process left that was killed in the middle of an upload is listed, and goes.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	client, name := bucket(t)
	p, err := s3store.New(client, name, &s3store.Options{Prefix: "app/"})
	must(t, err)
	core := minio.Core{Client: client}
	for _, key := range []string{"app/tenants/a/b", "app/tenants/a/c"} {
		id, err := core.NewMultipartUpload(t.Context(), name, key, minio.PutObjectOptions{})
		must(t, err)
		_, err = core.PutObjectPart(t.Context(), name, key, id, 1, strings.NewReader("half"), 4, minio.PutObjectPartOptions{})
		must(t, err)
	}
	list := func() (all []string) {
		for o, err := range p.List(t.Context(), "tenants/a/") {
			must(t, err)
			if time.Since(o.Written).Abs() > time.Hour {
				t.Errorf("written at %v", o.Written)
			}
			all = append(all, o.Name)
		}
		return all
	}
	if got := list(); len(got) != 2 || got[0] != "tenants/a/b" {
		t.Errorf("listed: %v", got)
	}
	if _, _, err := p.Open(t.Context(), "tenants/a/b", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an object: %v", err)
	}
	must(t, p.Remove(t.Context(), "tenants/a/b"))
	if got := list(); len(got) != 1 || got[0] != "tenants/a/c" {
		t.Errorf("left: %v", got)
	}
}

// A Put that fails, or whose context ends, aborts what it has begun.
func TestAborted(t *testing.T) {
	t.Parallel()
	p := open(t, nil)
	const parts = 20 << 20
	if err := p.Put(t.Context(), "a", io.MultiReader(zeros(parts), failing{errors.New("broke off")})); err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("the content's own error: %v", err)
	}
	ctx, end := context.WithCancel(t.Context())
	if err := p.Put(ctx, "b", io.MultiReader(zeros(parts), ending{end}, zeros(parts))); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	for o, err := range p.List(t.Context(), "") {
		t.Errorf("left: %v, %v", o, err)
	}
}

func zeros(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), n) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type ending struct{ end func() }

func (e ending) Read([]byte) (int, error) { e.end(); return 0, io.EOF }

// An error names the answer's code and nothing else of it, and is none of a missing
// object.
func TestRefused(t *testing.T) {
	t.Parallel()
	client, err := service.login("another secret")
	must(t, err)
	p, err := s3store.New(client, "test-refused", nil)
	must(t, err)
	_, _, errOpen := p.Open(t.Context(), "a", 0)
	for _, err := range []error{errOpen, p.Put(t.Context(), "a", strings.NewReader("x")), p.Remove(t.Context(), "a")} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "test-refused") {
			t.Errorf("%v", err)
		}
	}
	for _, err := range p.List(t.Context(), "") {
		if err == nil {
			t.Error("listed")
		}
	}
	good, err := service.login(secret)
	must(t, err)
	none, err := s3store.New(good, "no-such-bucket", nil)
	must(t, err)
	if _, _, err := none.Open(t.Context(), "a", 0); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bucket that is not there passes for an object that is not: %v", err)
	}
}

// A Put holds a part in memory, however long the content. Beside others it would measure
// them too.
func TestMemory(t *testing.T) {
	p := open(t, nil)
	const size, most = 160 << 20, 64 << 20
	peak := &watching{r: zeros(size)}
	must(t, p.Put(t.Context(), "a", peak))
	if peak.most > most {
		t.Errorf("%d MiB in use while %d MiB were put", peak.most>>20, size>>20)
	}
	body, n, err := p.Open(t.Context(), "a", size-10)
	must(t, err)
	b, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	if n != size || len(b) != 10 {
		t.Errorf("%d bytes, the end %d", n, len(b))
	}
}

// watching notes how much memory is in use.
type watching struct {
	r    io.Reader
	most uint64
}

func (w *watching) Read(b []byte) (int, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.most = max(w.most, m.HeapInuse)
	return w.r.Read(b)
}

// The service keeps what was sent, byte by byte, under the name that was given.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	client, name := bucket(t)
	p, err := s3store.New(client, name, nil)
	must(t, err)
	must(t, p.Put(t.Context(), "tenants/a%2Fb/c", strings.NewReader("content")))
	b, err := os.ReadFile(service.dir + "/" + name + "/tenants/a%2Fb/c")
	if err != nil || !bytes.Equal(b, []byte("content")) {
		t.Errorf("%q, %v", b, err)
	}
}

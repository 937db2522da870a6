package blobtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/blobtest"
)

// fake is a place in memory that does what its parts say.
type fake struct {
	mu      sync.Mutex
	objects map[string][]byte
	written time.Time

	ctxErr  func(context.Context) error
	check   func(name string) bool
	isEnd   func(error) bool                         // of a content
	keep    func(f *fake, name string, sofar []byte) // while it is read
	store   func(f *fake, name string, b []byte)
	from    func(b []byte, from int64) []byte
	size    func(b []byte, from int64) int64
	none    func() ([]byte, error) // for what is not there
	remove  func(f *fake, name string)
	listed  func(name, prefix string) bool
	most    int
	missing error // of Remove
}

func sound() *fake {
	form := regexp.MustCompile(`^[A-Za-z0-9._%/-]+$`)
	return &fake{
		objects: map[string][]byte{}, written: time.Now(), most: 1 << 30,
		ctxErr: context.Context.Err,
		check:  func(name string) bool { return form.MatchString(name) && fs.ValidPath(name) && name != "." },
		isEnd:  func(err error) bool { return err == io.EOF }, //nolint:errorlint // one in another error is no end
		keep:   func(*fake, string, []byte) {},
		store:  func(f *fake, name string, b []byte) { f.objects[name] = b },
		from:   func(b []byte, from int64) []byte { return b[from:] },
		size:   func(b []byte, _ int64) int64 { return int64(len(b)) },
		none:   func() ([]byte, error) { return nil, fs.ErrNotExist },
		remove: func(f *fake, name string) { delete(f.objects, name) },
		listed: strings.HasPrefix,
	}
}

func (f *fake) ready(ctx context.Context, name string) error {
	if err := f.ctxErr(ctx); err != nil {
		return err
	}
	if !f.check(name) {
		return errors.New("no name")
	}
	return nil
}

func (f *fake) locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) Put(ctx context.Context, name string, r io.Reader) error {
	if err := f.ready(ctx, name); err != nil {
		return err
	}
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		f.locked(func() { f.keep(f, name, all) })
		if err == nil {
			err = f.ctxErr(ctx)
		}
		if f.isEnd(err) {
			f.locked(func() { f.store(f, name, all) })
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *fake) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	if err := f.ready(ctx, name); err != nil {
		return nil, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.objects[name]
	if !ok {
		var err error
		if b, err = f.none(); err != nil {
			return nil, 0, err
		}
	}
	return io.NopCloser(bytes.NewReader(f.from(b, from))), f.size(b, from), nil
}

func (f *fake) Remove(ctx context.Context, name string) error {
	if err := f.ready(ctx, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.objects[name]; !ok && f.missing != nil {
		return f.missing
	}
	f.remove(f, name)
	return nil
}

func (f *fake) List(ctx context.Context, prefix string) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		if err := f.ctxErr(ctx); err != nil {
			yield(blob.Object{}, err)
			return
		}
		var all []string
		f.locked(func() { all = slices.Sorted(maps.Keys(f.objects)) })
		n := 0
		for _, name := range all {
			if n == f.most || !f.listed(name, prefix) {
				continue
			}
			if n++; !yield(blob.Object{Name: name, Written: f.written}, nil) {
				return
			}
		}
	}
}

var _ blob.Place = (*fake)(nil)

func TestSound(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blob.Place { return sound() })
}

var broken = map[string]func(f *fake){
	"keeps a part":          func(f *fake) { f.store = func(f *fake, name string, b []byte) { f.objects[name] = b[:len(b)/2] } },
	"reads from the start":  func(f *fake) { f.from = func(b []byte, _ int64) []byte { return b } },
	"tells the part's size": func(f *fake) { f.size = func(b []byte, from int64) int64 { return int64(len(b)) - from } },
	"takes every error for the end": func(f *fake) {
		f.isEnd = func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }
	},
	"takes a broken connection for the end": func(f *fake) {
		f.isEnd = func(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF } //nolint:errorlint // the fault
	},
	"looks for EOF within": func(f *fake) { f.isEnd = func(err error) bool { return errors.Is(err, io.EOF) } },
	"writes in place":      func(f *fake) { f.keep = func(f *fake, name string, b []byte) { f.objects[name] = b } },
	"shows long ones early": func(f *fake) {
		f.keep = func(f *fake, name string, b []byte) {
			if len(b) > 10<<20 {
				f.objects[name] = b
			}
		}
	},
	"empty for what is not there": func(f *fake) { f.none = func() ([]byte, error) { return nil, nil } },
	"another error for what is not there": func(f *fake) {
		f.none = func() ([]byte, error) { return nil, errors.New("not found") }
	},
	"cannot remove twice": func(f *fake) { f.missing = fs.ErrNotExist },
	"removes nothing":     func(f *fake) { f.remove = func(*fake, string) {} },
	"removes by prefix": func(f *fake) {
		f.remove = func(f *fake, name string) {
			maps.DeleteFunc(f.objects, func(n string, _ []byte) bool { return strings.HasPrefix(n, name) })
		}
	},
	"lists one page": func(f *fake) { f.most = 1000 },
	"lists all":      func(f *fake) { f.listed = func(string, string) bool { return true } },
	"lists by folder": func(f *fake) {
		f.listed = func(n, p string) bool { return p == "" || strings.HasPrefix(n, strings.TrimSuffix(p, "/")+"/") }
	},
	"has no times":        func(f *fake) { f.written = time.Time{} },
	"takes every name":    func(f *fake) { f.check = func(string) bool { return true } },
	"looks for dots only": func(f *fake) { f.check = func(n string) bool { return fs.ValidPath(n) && n != "." } },
	"goes on for ever":    func(f *fake) { f.ctxErr = func(context.Context) error { return nil } },
	"one object for all": func(f *fake) {
		f.store = func(f *fake, name string, b []byte) {
			if strings.HasPrefix(name, "tenants/b/") {
				name = "tenants/b/0"
			}
			f.objects[name] = b
		}
	},
	"mixes two": func(f *fake) {
		f.store = func(f *fake, name string, b []byte) {
			b = bytes.Clone(b)
			copy(b, f.objects[name])
			f.objects[name] = b
		}
	},
}

// Each broken place is caught, and each case catches at least one.
func TestBroken(t *testing.T) {
	t.Parallel()
	caught := map[string]bool{}
	var mu sync.Mutex
	t.Run("places", func(t *testing.T) {
		t.Parallel()
		for name, breakIt := range broken {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				found := false
				for _, c := range blobtest.Cases() {
					f := sound()
					breakIt(f)
					if c.Check(t.Context(), f) != nil {
						found = true
						mu.Lock()
						caught[c.Name] = true
						mu.Unlock()
					}
				}
				if !found {
					t.Error("no case catches it")
				}
			})
		}
	})
	t.Cleanup(func() {
		for _, c := range blobtest.Cases() {
			if !caught[c.Name] {
				t.Errorf("nothing shows that case %q can fail", c.Name)
			}
		}
	})
}

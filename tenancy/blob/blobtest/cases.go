package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/art32/art32/tenancy/blob"
)

func keeps(ctx context.Context, p blob.Place) error {
	for i, n := range []int{0, 1, short, long} {
		name, want := "tenants/keeps/"+strconv.Itoa(i), content(byte(i), n)
		if err := p.Put(ctx, name, &reader{left: want, end: io.EOF}); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := holds(ctx, p, name, want); err != nil {
			return err
		}
		for _, from := range []int{1, n / 2, n - 1} {
			if from <= 0 || from >= n {
				continue
			}
			got, size, err := read(ctx, p, name, int64(from))
			if err != nil || size != int64(n) || !bytes.Equal(got, want[from:]) {
				return fmt.Errorf("from byte %d of %d: %d bytes, said to be %d, %w", from, n, len(got), size, err)
			}
		}
	}
	return nil
}

// odd are errors that something may take for an end.
var odd = map[string]error{
	"an error":              errors.New("broke off"),
	"io.ErrUnexpectedEOF":   io.ErrUnexpectedEOF,
	"io.EOF within another": fmt.Errorf("broke off: %w", io.EOF),
}

func wholeOrNot(ctx context.Context, p blob.Place) error {
	for what, end := range odd {
		for _, n := range []int{0, short, long} {
			const name = "tenants/half/a"
			if n == long && end != io.ErrUnexpectedEOF { //nolint:errorlint // that of a broken connection will do
				continue
			}
			err := p.Put(ctx, name, &reader{left: content(1, n), end: end})
			if err == nil {
				return fmt.Errorf("%s after %d bytes was taken for the end", what, n)
			}
			if err := gone(ctx, p, name); err != nil {
				return fmt.Errorf("%s after %d bytes: %w", what, n, err)
			}
		}
	}
	return nil
}

func notBeforeEnd(ctx context.Context, p blob.Place) error {
	for _, n := range []int{short, long} {
		name := "tenants/early/" + strconv.Itoa(n)
		var early error
		step := func(int) error { early = errors.Join(early, gone(ctx, p, name)); return early }
		if err := p.Put(ctx, name, &reader{left: content(2, n), step: step, end: io.EOF}); err != nil || early != nil {
			return fmt.Errorf("while it is being put: %w", errors.Join(early, err))
		}
	}
	return nil
}

func missing(ctx context.Context, p blob.Place) error {
	if err := p.Put(ctx, "tenants/m/folder/a", bytes.NewReader([]byte("a"))); err != nil {
		return err
	}
	for _, name := range []string{"tenants/m/none", "none", "tenants/m/folder/a/b", "tenants/m/folder"} {
		if err := gone(ctx, p, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range []string{"tenants/m/none", "none", "tenants/m/folder/b"} {
		if err := p.Remove(ctx, name); err != nil {
			return fmt.Errorf("removing what is not there: %w", err)
		}
	}
	return nil
}

func removes(ctx context.Context, p blob.Place) error {
	all := []string{"tenants/r/a", "tenants/r/ab", "tenants/r2/a"}
	for i, name := range all {
		if err := p.Put(ctx, name, bytes.NewReader(content(byte(i), short))); err != nil {
			return err
		}
	}
	for range 2 {
		if err := p.Remove(ctx, all[0]); err != nil {
			return err
		}
		if err := gone(ctx, p, all[0]); err != nil {
			return err
		}
	}
	for i, name := range all[1:] {
		if err := holds(ctx, p, name, content(byte(i+1), short)); err != nil {
			return fmt.Errorf("another object: %w", err)
		}
	}
	return nil
}

// many are more than a page of the services that have pages.
const many = 1050

func lists(ctx context.Context, p blob.Place) error {
	begun := time.Now()
	if err := putMany(ctx, p); err != nil {
		return err
	}
	for prefix, want := range map[string]int{"tenants/l/": many, "tenants/l": many + 1, "tenants/lx/": 1, "": many + 1, "tenants/none/": 0} {
		got, err := names(ctx, p, prefix)
		if err != nil {
			return err
		}
		if len(got) != want {
			return fmt.Errorf("the prefix %q lists %d objects of %d", prefix, len(got), want)
		}
		for name, n := range got {
			if n != 1 || !strings.HasPrefix(name, prefix) {
				return fmt.Errorf("the prefix %q lists %s, %d times", prefix, name, n)
			}
		}
	}
	n := 0
	for o, err := range p.List(ctx, "tenants/l/") {
		if n++; err != nil || o.Written.Before(begun.Add(-time.Hour)) || o.Written.After(time.Now().Add(time.Hour)) {
			return fmt.Errorf("written at %v and listed so just now: %w", o.Written, err)
		}
		if n == 3 {
			break
		}
	}
	return nil
}

// putMany puts them from several goroutines: over a network each takes a while.
func putMany(ctx context.Context, p blob.Place) error {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			for n := i; n < many && errs[i] == nil; n += len(errs) {
				errs[i] = p.Put(ctx, "tenants/l/"+strconv.Itoa(n), strings.NewReader("x"))
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), p.Put(ctx, "tenants/lx/a", strings.NewReader("x")))
}

func refusesNames(ctx context.Context, p blob.Place) error {
	for _, name := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "./a", "../a", "a/../b", "a/..", "a\x00b", "a\\b", "a b", "a\n", "ä", "C:a", "a?b", "a*",
	} {
		_, _, err := p.Open(ctx, name, 0)
		if p.Put(ctx, name, strings.NewReader("x")) == nil || p.Remove(ctx, name) == nil || err == nil {
			return fmt.Errorf("the name %q is taken", name)
		}
	}
	left, err := names(ctx, p, "")
	if err == nil && len(left) > 0 {
		err = errors.New("a name that is none was listed")
	}
	return err
}

func endsWithContext(ctx context.Context, p blob.Place) error {
	const name = "tenants/c/a"
	if err := p.Put(ctx, name, bytes.NewReader(content(1, short))); err != nil {
		return err
	}
	ended, end := context.WithCancel(ctx)
	end()
	_, _, err := p.Open(ended, name, 0)
	_, errList := names(ended, p, "")
	if err == nil || errList == nil || p.Put(ended, "tenants/c/b", strings.NewReader("x")) == nil || p.Remove(ended, name) == nil {
		return errors.New("a verb goes on without its context")
	}
	during, end := context.WithCancel(ctx)
	defer end()
	step := func(left int) error {
		if left < long/2 {
			end()
		}
		return nil
	}
	if p.Put(during, "tenants/c/b", &reader{left: content(1, long), step: step, end: io.EOF}) == nil {
		return errors.New("a Put goes on when its context has ended")
	}
	if err := gone(ctx, p, "tenants/c/b"); err != nil {
		return err
	}
	return holds(ctx, p, name, content(1, short))
}

func beside(ctx context.Context, p blob.Place) error {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			name, want := "tenants/b/"+strconv.Itoa(i), content(byte(i), short+i)
			if errs[i] = p.Put(ctx, name, bytes.NewReader(want)); errs[i] == nil {
				errs[i] = holds(ctx, p, name, want)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func noMixture(ctx context.Context, p blob.Place) error {
	const name = "tenants/x/a"
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = p.Put(ctx, name, bytes.NewReader(content(byte(i), short+i))) })
	}
	wg.Wait()
	put := false
	for i := range errs {
		put = put || errs[i] == nil
		if errs[i] == nil && holds(ctx, p, name, content(byte(i), short+i)) == nil {
			return nil
		}
	}
	if put {
		return errors.New("the object is none of those whose Put returned nil")
	}
	return fmt.Errorf("nobody could put it: %w", errors.Join(errs...))
}

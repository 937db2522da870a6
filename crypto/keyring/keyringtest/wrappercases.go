package keyringtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
)

// aad is as the ring makes it: lengths and texts, so not a text itself.
func aad(name string) []byte {
	return []byte("\x00\x00\x00\x24" + "00000000-0000-4000-8000-00000000ac3e" + "\x00\x00\x00" + string(rune(len(name))) + name + "\x00\x00\x00\x011")
}

func newKey() []byte {
	key := make([]byte, field.KeySize)
	rand.Read(key)
	return key
}

// wrap wraps a new key.
func wrap(ctx context.Context, w keyring.Wrapper) (key, wrapped []byte, err error) {
	key = newKey()
	if wrapped, err = w.Wrap(ctx, key, aad("tenant")); err != nil {
		return nil, nil, fmt.Errorf("wrap: %w", err)
	}
	return key, wrapped, nil
}

// opens checks that wrapped holds key at its place.
func opens(ctx context.Context, w keyring.Wrapper, wrapped, key []byte) error {
	got, err := w.Unwrap(ctx, wrapped, aad("tenant"))
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	if !bytes.Equal(got, key) {
		return errors.New("unwrap: another key than was wrapped")
	}
	return nil
}

// refuses checks that wrapped does not open there, and that it is known why.
func refuses(ctx context.Context, w keyring.Wrapper, what string, wrapped, aad []byte) error {
	key, err := w.Unwrap(ctx, wrapped, aad)
	switch {
	case err == nil:
		return fmt.Errorf("unwrap: %s opens", what)
	case len(key) > 0:
		return fmt.Errorf("unwrap: %s returns bytes with its error", what)
	case !errors.Is(err, keyring.ErrUnwrap):
		return fmt.Errorf("unwrap: %s: got error %w, want keyring.ErrUnwrap", what, err)
	}
	return nil
}

func roundTrip(ctx context.Context, r Root) error {
	for range 3 {
		key, wrapped, err := wrap(ctx, r.Wrapper)
		if err != nil {
			return err
		}
		for range 2 {
			if err := opens(ctx, r.Wrapper, wrapped, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func argumentsKept(ctx context.Context, r Root) error {
	key, place := newKey(), aad("tenant")
	given := [2][]byte{bytes.Clone(key), bytes.Clone(place)}
	wrapped, err := r.Wrapper.Wrap(ctx, given[0], given[1])
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	if !bytes.Equal(given[0], key) || !bytes.Equal(given[1], place) {
		return errors.New("wrap: changes what it was given")
	}
	clear(given[0]) // as the ring does
	clear(given[1])
	stored := bytes.Clone(wrapped)
	if err := opens(ctx, r.Wrapper, wrapped, key); err != nil {
		return err
	}
	if !bytes.Equal(wrapped, stored) {
		return errors.New("unwrap: changes what it was given")
	}
	return nil
}

func resultsAreCopies(ctx context.Context, r Root) error {
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	stored := bytes.Clone(wrapped)
	clear(wrapped)
	for range 2 {
		got, err := r.Wrapper.Unwrap(ctx, stored, aad("tenant"))
		if err != nil || !bytes.Equal(got, key) {
			return fmt.Errorf("unwrap: the key was lost when a caller cleared its copy (error %w)", orNil(err))
		}
		clear(got)
	}
	return nil
}

func boundToPlace(ctx context.Context, r Root) error {
	_, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	here := aad("tenant")
	other := bytes.Clone(here)
	other[10] ^= 1
	var all []error
	for what, place := range map[string][]byte{
		"another tenant": other, "another name": aad("index"), "more behind": append(bytes.Clone(here), '1'),
		"less": here[:len(here)-1], "no place": nil, "half": here[:20],
	} {
		all = append(all, refuses(ctx, r.Wrapper, what, wrapped, place))
	}
	return errors.Join(all...)
}

func changed(ctx context.Context, r Root) error {
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	for i := range wrapped {
		flipped := bytes.Clone(wrapped)
		flipped[i] ^= 1 << (i % 8)
		if err := refuses(ctx, r.Wrapper, fmt.Sprintf("with byte %d changed it", i), flipped, aad("tenant")); err != nil {
			return err
		}
	}
	return opens(ctx, r.Wrapper, wrapped, key)
}

func torn(ctx context.Context, r Root) error {
	_, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	var all []error
	for _, n := range []int{0, 1, len(wrapped) / 2, len(wrapped) - 1} {
		all = append(all, refuses(ctx, r.Wrapper, fmt.Sprintf("cut to %d bytes it", n), wrapped[:n:n], aad("tenant")))
	}
	all = append(all, refuses(ctx, r.Wrapper, "nothing", nil, aad("tenant")),
		refuses(ctx, r.Wrapper, "with a byte more it", append(slices.Clone(wrapped), 0), aad("tenant")),
		refuses(ctx, r.Wrapper, "doubled it", append(slices.Clone(wrapped), wrapped...), aad("tenant")))
	return errors.Join(all...)
}

func anotherRoot(ctx context.Context, r Root) error {
	_, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	_, foreign, err := wrap(ctx, r.Other)
	if err != nil {
		return err
	}
	return errors.Join(
		refuses(ctx, r.Other, "under another root it", wrapped, aad("tenant")),
		refuses(ctx, r.Wrapper, "another root's", foreign, aad("tenant")))
}

func neverTwice(ctx context.Context, r Root) error {
	key, seen := newKey(), make(map[string]bool)
	for range 4 {
		wrapped, err := r.Wrapper.Wrap(ctx, key, aad("tenant"))
		if err != nil {
			return fmt.Errorf("wrap: %w", err)
		}
		if seen[string(wrapped)] {
			return errors.New("wrap: the same bytes twice")
		}
		seen[string(wrapped)] = true
	}
	return nil
}

func keyHidden(ctx context.Context, r Root) error {
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err == nil && shows(string(wrapped), key) {
		err = errors.New("wrap: the key can be read in what was wrapped")
	}
	return err
}

func manyAtOnce(ctx context.Context, r Root) error {
	var mu sync.Mutex
	var all []error
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				if err := roundTrip(ctx, r); err != nil {
					mu.Lock()
					all = append(all, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(all...)
}

func notAnswering(ctx context.Context, r Root) error {
	if r.Break == nil {
		return nil
	}
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	r.Break()
	if _, err := r.Wrapper.Wrap(ctx, key, aad("tenant")); err == nil {
		return errors.New("wrap: no error while the service is down")
	}
	got, err := r.Wrapper.Unwrap(ctx, wrapped, aad("tenant"))
	switch {
	case err == nil:
		return errors.New("unwrap: no error while the service is down")
	case errors.Is(err, keyring.ErrUnwrap) || len(got) > 0:
		return errors.New("unwrap: a service that is down passes for a key that does not open")
	}
	r.Mend()
	return opens(ctx, r.Wrapper, wrapped, key)
}

// errorsSayNothing looks at every error that there is.
func errorsSayNothing(ctx context.Context, r Root) error {
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	flipped := bytes.Clone(wrapped)
	flipped[len(flipped)-1] ^= 1
	var text strings.Builder
	note := func(_ []byte, err error) {
		fmt.Fprintf(&text, "%v %+v %#v\n", err, err, err)
	}
	failing := func(ctx context.Context) {
		note(r.Wrapper.Unwrap(ctx, wrapped, aad("index")))
		note(r.Wrapper.Unwrap(ctx, flipped, aad("tenant")))
		note(r.Wrapper.Wrap(ctx, key, aad("tenant")))
		note(r.Wrapper.Unwrap(ctx, wrapped, aad("tenant")))
	}
	failing(ctx)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	failing(ended)
	if r.Break != nil {
		r.Break()
		failing(ctx)
	}
	if shows(text.String(), key) {
		return errors.New("an error holds the key")
	}
	return nil
}

const (
	patience = 300 * time.Millisecond // of the context of a service that hangs
	grace    = 5 * time.Second        // until the call must have returned
)

func endsWithContext(ctx context.Context, r Root) error {
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := r.Wrapper.Unwrap(ended, wrapped, aad("tenant")); errors.Is(err, keyring.ErrUnwrap) {
		return errors.New("unwrap: a context that has ended passes for a key that does not open")
	} else if err == nil && !bytes.Equal(got, key) {
		return errors.New("unwrap: another key after its context has ended")
	}
	if r.Hang == nil {
		return nil
	}
	r.Hang()
	for verb, call := range map[string]func(context.Context) error{
		"wrap":   func(ctx context.Context) error { _, err := r.Wrapper.Wrap(ctx, key, aad("tenant")); return err },
		"unwrap": func(ctx context.Context) error { _, err := r.Wrapper.Unwrap(ctx, wrapped, aad("tenant")); return err },
	} {
		if err := hangs(ctx, call); err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
	}
	return nil
}

func hangs(ctx context.Context, call func(context.Context) error) error {
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- call(limited) }()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, keyring.ErrUnwrap) {
			return fmt.Errorf("got error %w from a service that hangs", orNil(err))
		}
		return nil
	case <-time.After(grace):
		return errors.New("it goes on after its context has ended")
	}
}

func currentKey(ctx context.Context, r Root) error {
	w, ok := r.Wrapper.(keyring.CurrentUnwrapper)
	if !ok {
		return nil
	}
	key, wrapped, err := wrap(ctx, r.Wrapper)
	if err != nil {
		return err
	}
	if got, err := w.UnwrapCurrent(ctx, wrapped, aad("tenant")); err != nil || !bytes.Equal(got, key) {
		return fmt.Errorf("unwrap with the current key: what was just wrapped does not open (error %w)", orNil(err))
	}
	_, foreign, err := wrap(ctx, r.Other)
	if err != nil {
		return err
	}
	if _, err := w.UnwrapCurrent(ctx, foreign, aad("tenant")); !errors.Is(err, keyring.ErrUnwrap) {
		return fmt.Errorf("unwrap with the current key: another root's: got error %w, want keyring.ErrUnwrap", orNil(err))
	}
	return nil
}

// shows reports whether text holds key, or half of it, in a form that people or
// encoders write bytes in.
func shows(text string, key []byte) bool {
	whole := base64.RawStdEncoding.EncodeToString(key)
	forms := []string{whole, whole[:20], base64.RawURLEncoding.EncodeToString(key)}
	for _, part := range [][]byte{key[:len(key)/2], key[len(key)/2:]} {
		forms = append(forms, string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
			strings.Trim(fmt.Sprint(part), "[]"), strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte"), "{}"))
	}
	return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) })
}

func orNil(err error) error {
	if err == nil {
		return errors.New("nil")
	}
	return err
}

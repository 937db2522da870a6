package keyringtest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
)

var errDown = errors.New("down")

// fakeRoot is a root that does what its parts say.
type fakeRoot struct {
	real keyring.Wrapper

	wrap    func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error)
	unwrap  func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error)
	current func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error)
	down    func(key []byte) error          // what it says while it is down
	wait    func(ctx context.Context) error // what it does while it hangs
	isDown  bool
	hangs   bool
}

func (f *fakeRoot) state(ctx context.Context, key []byte) error {
	switch {
	case f.hangs:
		return f.wait(ctx)
	case f.isDown:
		return f.down(key)
	}
	return nil
}

func (f *fakeRoot) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	if err := f.state(ctx, key); err != nil {
		return nil, err
	}
	return f.wrap(ctx, f.real, key, aad)
}

func (f *fakeRoot) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if err := f.state(ctx, nil); err != nil {
		return nil, err
	}
	return f.unwrap(ctx, f.real, wrapped, aad)
}

func (f *fakeRoot) UnwrapCurrent(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return f.current(ctx, f.real, wrapped, aad)
}

func soundRoot(t *testing.T) *fakeRoot {
	t.Helper()
	open := func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
		return w.Unwrap(ctx, wrapped, aad)
	}
	return &fakeRoot{
		real: keyFile(t),
		wrap: func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			return w.Wrap(ctx, key, aad)
		},
		unwrap: open, current: open,
		down: func([]byte) error { return errDown },
		wait: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

func (f *fakeRoot) fixture(other keyring.Wrapper) keyringtest.Root {
	return keyringtest.Root{
		Wrapper: f, Other: other,
		Break: func() { f.isDown = true }, Mend: func() { f.isDown = false }, Hang: func() { f.hangs = true },
	}
}

func TestSoundRoot(t *testing.T) {
	t.Parallel()
	keyringtest.RunWrapper(t, func(t *testing.T) keyringtest.Root {
		t.Helper()
		return soundRoot(t).fixture(keyFile(t))
	})
}

// cached remembers what it has unwrapped.
type cached struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (c *cached) unwrap(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key, ok := c.keys[string(wrapped)+string(aad)]; ok {
		return key, nil
	}
	key, err := w.Unwrap(ctx, wrapped, aad)
	if err == nil {
		c.keys[string(wrapped)+string(aad)] = key
	}
	return key, err
}

// lastKey mixes up the answers of many at once.
type lastKey struct {
	mu  sync.Mutex
	key []byte
}

func (l *lastKey) unwrap(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
	key, err := w.Unwrap(ctx, wrapped, aad)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.key = key
	l.mu.Unlock()
	for range 1000 { // another comes
		runtime.Gosched()
		l.mu.Lock()
		key = l.key
		l.mu.Unlock()
	}
	return append([]byte(nil), key...), nil
}

var brokenRoots = map[string]func(f *fakeRoot, other keyring.Wrapper){
	"wraps nothing": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(_ context.Context, _ keyring.Wrapper, key, _ []byte) ([]byte, error) {
			return append([]byte(nil), key...), nil
		}
		f.unwrap = func(_ context.Context, _ keyring.Wrapper, wrapped, _ []byte) ([]byte, error) {
			return append([]byte(nil), wrapped...), nil
		}
	},
	"loses every key": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(context.Context, keyring.Wrapper, []byte, []byte) ([]byte, error) { return nil, keyring.ErrUnwrap }
	},
	"returns another key": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			key, err := w.Unwrap(ctx, wrapped, aad)
			for i := range key {
				key[i] ^= 0xff
			}
			return key, err
		}
	},
	"binds to nothing": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, _ []byte) ([]byte, error) {
			return w.Wrap(ctx, key, nil)
		}
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, _ []byte) ([]byte, error) {
			return w.Unwrap(ctx, wrapped, nil)
		}
	},
	"binds to the beginning of the place": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			return w.Wrap(ctx, key, aad[:min(20, len(aad))])
		}
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			return w.Unwrap(ctx, wrapped, aad[:min(20, len(aad))])
		}
	},
	"ignores the end of what was wrapped": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			wrapped, err := w.Wrap(ctx, key, aad)
			return append(wrapped, 1, 2, 3), err
		}
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			return w.Unwrap(ctx, wrapped[:min(97, len(wrapped))], aad)
		}
	},
	"opens what has a byte more": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			return w.Unwrap(ctx, wrapped[:min(97, len(wrapped))], aad)
		}
	},
	"has one word for every failure": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			key, err := w.Unwrap(ctx, wrapped, aad)
			if err != nil {
				err = errors.New("bad request")
			}
			return key, err
		}
	},
	"returns bytes with its error": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			key, err := w.Unwrap(ctx, wrapped, aad)
			if err != nil {
				key = []byte("nothing")
			}
			return key, err
		}
	},
	"clears the key": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			defer clear(key)
			return w.Wrap(ctx, key, aad)
		}
	},
	"decrypts in place": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			defer clear(wrapped)
			return w.Unwrap(ctx, wrapped, aad)
		}
	},
	"hands out its own bytes": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = (&cached{keys: make(map[string][]byte)}).unwrap
	},
	"knows every root": func(f *fakeRoot, other keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			if key, err := w.Unwrap(ctx, wrapped, aad); err == nil {
				return key, nil
			}
			return other.Unwrap(ctx, wrapped, aad)
		}
	},
	"is deterministic": func(f *fakeRoot, _ keyring.Wrapper) {
		var mu sync.Mutex
		seen := make(map[[sha256.Size]byte][]byte)
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			sum := sha256.Sum256(append(append([]byte(nil), key...), aad...))
			if seen[sum] == nil {
				wrapped, err := w.Wrap(ctx, key, aad)
				if err != nil {
					return nil, err
				}
				seen[sum] = wrapped
			}
			return append([]byte(nil), seen[sum]...), nil
		}
	},
	"writes the key beside": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wrap = func(ctx context.Context, w keyring.Wrapper, key, aad []byte) ([]byte, error) {
			wrapped, err := w.Wrap(ctx, key, aad)
			return append(wrapped, hex.EncodeToString(key)...), err
		}
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			if len(wrapped) != 97+64 {
				return nil, keyring.ErrUnwrap
			}
			key, err := w.Unwrap(ctx, wrapped[:97], aad)
			if err != nil || hex.EncodeToString(key) != string(wrapped[97:]) {
				return nil, keyring.ErrUnwrap
			}
			return key, nil
		}
	},
	"mixes up answers": func(f *fakeRoot, _ keyring.Wrapper) { f.unwrap = (&lastKey{}).unwrap },
	"is up when it is down": func(f *fakeRoot, _ keyring.Wrapper) {
		f.down = func([]byte) error { return nil }
	},
	"takes silence for damage": func(f *fakeRoot, _ keyring.Wrapper) {
		f.down = func([]byte) error { return keyring.ErrUnwrap }
	},
	"quotes the request": func(f *fakeRoot, _ keyring.Wrapper) {
		f.down = func(key []byte) error { return fmt.Errorf("down: %x", key) }
	},
	"quotes the request in numbers": func(f *fakeRoot, _ keyring.Wrapper) {
		f.down = func(key []byte) error { return fmt.Errorf("down: %v", key) }
	},
	"hangs for ever": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wait = func(context.Context) error { select {} }
	},
	"takes an end for damage": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wait = func(ctx context.Context) error {
			<-ctx.Done()
			return keyring.ErrUnwrap
		}
	},
	"says yes while it hangs": func(f *fakeRoot, _ keyring.Wrapper) {
		f.wait = func(context.Context) error { return nil }
	},
	"takes an ended context for damage": func(f *fakeRoot, _ keyring.Wrapper) {
		f.unwrap = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			if ctx.Err() != nil {
				return nil, keyring.ErrUnwrap
			}
			return w.Unwrap(ctx, wrapped, aad)
		}
	},
	"knows no current key": func(f *fakeRoot, _ keyring.Wrapper) {
		f.current = func(context.Context, keyring.Wrapper, []byte, []byte) ([]byte, error) { return nil, keyring.ErrUnwrap }
	},
	"takes every key for current": func(f *fakeRoot, _ keyring.Wrapper) {
		f.current = func(ctx context.Context, w keyring.Wrapper, wrapped, aad []byte) ([]byte, error) {
			key, err := w.Unwrap(ctx, wrapped, aad)
			if err != nil {
				return make([]byte, 32), nil
			}
			return key, nil
		}
	},
}

// Each broken root is caught, and each case catches at least one.
func TestBrokenRoots(t *testing.T) {
	t.Parallel()
	catches := make(map[string]int)
	for name, damage := range brokenRoots {
		caught := 0
		for _, c := range keyringtest.WrapperCases() {
			f, other := soundRoot(t), keyFile(t)
			damage(f, other)
			if c.Check(t.Context(), f.fixture(other)) != nil {
				caught++
				catches[c.Name]++
			}
		}
		if caught == 0 {
			t.Errorf("nothing catches the root that %s", name)
		}
	}
	for _, c := range keyringtest.WrapperCases() {
		if catches[c.Name] == 0 || c.Explanation == "" || c.Measure == "" {
			t.Errorf("case %q catches nothing, or does not say why it is", c.Name)
		}
	}
}

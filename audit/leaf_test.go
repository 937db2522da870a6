package audit_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func sampleLeaf() audit.Leaf {
	id := func(b byte) uuid.UUID { return uuid.UUID(bytes.Repeat([]byte{b}, 16)) }
	l := audit.Leaf{
		Log: id(1), Tenant: id(2), Event: id(3), At: time.UnixMicro(1_700_000_000_123_456).UTC(), Writer: id(4), Counter: 5,
		Actor: "service:import", Session: "s-1", Action: "customers.update", Object: id(6), Outcome: tenancy.Done,
		Digests: bytes.Repeat([]byte{7}, 64),
	}
	copy(l.MAC[:], bytes.Repeat([]byte{8}, 32))
	return l
}

// The bytes of a leaf are for ever: testdata holds one of version 1.
func TestLeafVector(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	text, err := os.ReadFile("testdata/leaf-v1.hex")
	must(t, err)
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	must(t, err)
	l := sampleLeaf()
	got, err := l.AppendBinary(nil)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	back, err := audit.ParseLeaf(want)
	must(t, err)
	if diff := cmp.Diff(l, back); diff != "" {
		t.Error(diff)
	}
}

func TestLeafRefuses(t *testing.T) {
	t.Parallel()
	l := sampleLeaf()
	good, err := l.AppendBinary(nil)
	must(t, err)
	outcome := bytes.LastIndex(good, bytes.Repeat([]byte{6}, 16)) + 16
	bad := map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"version": append([]byte{2}, good[1:]...), "too long": make([]byte, audit.MaxLeaf+1),
		"outcome": append(append(bytes.Clone(good[:outcome]), 3), good[outcome+1:]...),
	}
	for name, b := range bad {
		if _, err := audit.ParseLeaf(b); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	l.Digests = bytes.Repeat([]byte{7}, 2048*32)
	if _, err := l.AppendBinary(nil); !errors.Is(err, audit.ErrTooLarge) {
		t.Errorf("too many digests: got %v", err)
	}
	l.Digests = []byte{1}
	if _, err := l.AppendBinary(nil); !errors.Is(err, audit.ErrLeaf) {
		t.Errorf("half a digest: got %v", err)
	}
}

func FuzzParseLeaf(f *testing.F) {
	l := sampleLeaf()
	good, err := l.AppendBinary(nil)
	must(f, err)
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := audit.ParseLeaf(b)
		if err != nil {
			return
		}
		again, err := l.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not the one form: %x became %x (%v)", b, again, err)
		}
	})
}

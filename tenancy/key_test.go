package tenancy_test

import (
	"errors"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/art32/art32/tenancy"
)

// TestKey: no part leaves the tenant's names, and different parts give different
// names.
func TestKey(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	id := tenancy.NewID()
	ctx := tenancy.WithTenant(t.Context(), id)
	prefix, form := "tenants/"+id.String()+"/", regexp.MustCompile(`^[A-Za-z0-9._%/-]+$`)
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{"a"}, {"a", "b"}, {"a/b"}, {"a%2Fb"}, {"."}, {".."}, {"..", "..", "x"}, {"../.."}, {"/"}, {"\x00"}, {"\\"}, {"a."}, {".a"}, {"a.pdf"},
		{"Jürgen Müller.pdf"}, {"\xff"}, {"%"}, {"%2E"}, {"a\n"}, {"*"}, {"A"}, {"C:"}, {strings.Repeat("x", 255)}, {"a", ".", "b"}, {"a", "b", "c"},
	} {
		key, err := tenancy.Key(ctx, parts...)
		if err != nil {
			t.Errorf("%q: %v", parts, err)
			continue
		}
		if !strings.HasPrefix(key, prefix) || path.Clean(key) != key || !form.MatchString(key) || strings.Count(key, "/") != 1+len(parts) {
			t.Errorf("%q: %s", parts, key)
		}
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q give %s", parts, other, key)
		}
		seen[key] = parts
	}
	for _, parts := range [][]string{nil, {""}, {"a", ""}, {strings.Repeat("x", 256)}, {strings.Repeat("/", 86)}} {
		if key, err := tenancy.Key(ctx, parts...); !errors.Is(err, tenancy.ErrBadValue) || key != "" {
			t.Errorf("%q: %s, %v", parts, key, err)
		}
	}
	if _, err := tenancy.Key(t.Context(), "a"); !errors.Is(err, tenancy.ErrNoTenant) {
		t.Errorf("without a tenant: %v", err)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a", "b")
	f.Add("..", "\x00/")
	id := tenancy.NewID()
	ctx := tenancy.WithTenant(f.Context(), id)
	f.Fuzz(func(t *testing.T, a, b string) {
		key, err := tenancy.Key(ctx, a, b)
		if err != nil {
			return
		}
		if path.Clean(key) != key || !strings.HasPrefix(key, "tenants/"+id.String()+"/") || strings.Count(key, "/") != 3 {
			t.Errorf("%q, %q: %s", a, b, key)
		}
		if other, err := tenancy.Key(ctx, a+b); err == nil && other == key {
			t.Errorf("%q, %q: as one part too", a, b)
		}
	})
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		events string
		want   string
		ok     bool
	}{
		"passed": {
			events: `{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"-test.shuffle 1\n"}
{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"run","Package":"a","Test":"TestX/postgres"}
{"Action":"run","Package":"a","Test":"TestX/postgres/one/a b"}
{"Action":"output","Package":"a","Test":"TestX/postgres/one/a b","Output":"noise\n"}
{"Action":"pass","Package":"a","Test":"TestX/postgres/one/a b"}
{"Action":"pass","Package":"a","Test":"TestX/postgres"}
{"Action":"run","Package":"a","Test":"TestX/SQLite"}
{"Action":"pass","Package":"a","Test":"TestX/SQLite"}
{"Action":"run","Package":"a","Test":"TestX/postgres_not"}
{"Action":"pass","Package":"a","Test":"TestX/postgres_not"}
{"Action":"pass","Package":"a","Test":"TestX","Elapsed":12.34}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
{"Action":"output","Package":"b","Output":"?   \tb\t[no test files]\n"}
{"Action":"skip","Package":"b"}
`,
			want: "ok  \ta\t0.1s\n?   \tb\t[no test files]\nslow:   12.3 s a TestX\npostgres: 1 tests, sqlite: 1 tests, total: 3 passed, 0 failed, 0 skipped\n",
			ok:   true,
		},
		"failed": {
			events: `{"Action":"output","Package":"a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"    x_test.go:1: wrong\n"}
{"Action":"fail","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
`,
			want: "# a\n    x_test.go:1: wrong\nFAIL\ta\t0.1s\npostgres: 0 tests, sqlite: 0 tests, total: 0 passed, 1 failed, 0 skipped\n",
		},
		"skipped": {
			events: `{"Action":"output","Package":"a","Test":"TestX","Output":"    x_test.go:1: no server\n"}
{"Action":"skip","Package":"a","Test":"TestX"}
{"Action":"pass","Package":"a"}
`,
			want: "# a\n    x_test.go:1: no server\npostgres: 0 tests, sqlite: 0 tests, total: 0 passed, 0 failed, 1 skipped\n",
		},
		"died": {
			events: `{"Action":"output","Package":"a","Test":"TestX","Output":"panic: nil map\n"}
{"Action":"fail","Package":"a"}
`,
			want: "# a\npanic: nil map\npostgres: 0 tests, sqlite: 0 tests, total: 0 passed, 1 failed, 0 skipped\n",
		},
		"ended early": {
			events: `{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"pass","Package":"b"}
`,
			want: "postgres: 0 tests, sqlite: 0 tests, total: 0 passed, 1 failed, 0 skipped\n",
		},
		"not built": {
			events: `{"Action":"build-output","ImportPath":"a","Output":"a.go:1: undefined: x\n"}
{"Action":"build-fail","ImportPath":"a"}
{"Action":"pass","Package":"b"}
`,
			want: "a.go:1: undefined: x\npostgres: 0 tests, sqlite: 0 tests, total: 0 passed, 0 failed, 0 skipped\n",
		},
		"a package that fails outside its tests": {
			events: `{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"fail","Package":"a"}
`,
			want: "postgres: 0 tests, sqlite: 0 tests, total: 1 passed, 0 failed, 0 skipped\n",
		},
		"nothing": {want: "postgres: 0 tests, sqlite: 0 tests, total: 0 passed, 0 failed, 0 skipped\n"},
		"no JSON": {
			events: "go: no such module\n{}\n",
			want:   "go: no such module\n{}\npostgres: 0 tests, sqlite: 0 tests, total: 0 passed, 0 failed, 0 skipped\n",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(c.events)); err != nil {
				t.Fatal(err)
			}
			if ok := r.close(); ok != c.ok {
				t.Errorf("ok: got %v, want %v", ok, c.ok)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCollect(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		in, out, rest string
		failed        bool
	}{
		"one line each, the last figure": {
			in: "goos: linux\nBenchmarkA-2 \t\npromise a/x 1 <=2 met\n 1 ns/op\n" +
				"promise b/y 3 <=2 missed\npromise a/x 4 <=2 missed\nPASS\nok  \ta\t1s\n",
			out: "promise a/x 4 <=2 missed\npromise b/y 3 <=2 missed\npromises: 0 met, 2 missed\n",
		},
		"met": {
			in:  "promise a/x 1 <=2 met\n",
			out: "promise a/x 1 <=2 met\npromises: 1 met, 0 missed\n",
		},
		"a benchmark fails": {
			in:     "--- FAIL: BenchmarkA\n    a_test.go:1: wrong\nFAIL\nexit status 1\n",
			out:    "promises: 0 met, 0 missed\n",
			rest:   "--- FAIL: BenchmarkA\n    a_test.go:1: wrong\nFAIL\nexit status 1\n",
			failed: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, rest strings.Builder
			err := collect(strings.NewReader(c.in), &out, &rest)
			if (err != nil) != c.failed {
				t.Errorf("error: %v", err)
			}
			if diff := cmp.Diff(c.out+"|"+c.rest, out.String()+"|"+rest.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

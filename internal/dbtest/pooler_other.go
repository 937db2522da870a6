//go:build !unix

package dbtest

import (
	"context"
	"errors"
)

type pooler struct{ address string }

func startPooler(context.Context, string, PoolMode, *PoolerOptions, []string) (*pooler, error) {
	return nil, errors.New("dbtest: this system runs no pooler")
}

func (*pooler) stop() error { return nil }

//go:build !unix

package dbtest

import (
	"context"
	"errors"
)

func startCluster(context.Context, string) (*Server, error) {
	return nil, errors.New("dbtest: this system runs no throw-away cluster; name a server in " + envServer)
}

func startFollower(context.Context, string, string) (*Server, error) {
	return startCluster(context.Background(), "")
}

func lock(string) (unlock func(), err error) {
	return nil, errors.New("dbtest: this system has no apt-get")
}

//go:build soak

package postgres_test

import "time"

// How much the long tests do.
const (
	cutStep         = 1 // from how many messages to the next a connection is cut
	crowdOperations = 100_000
	havocEvery      = 100 * time.Millisecond
)

//go:build !soak

package postgres_test

import "time"

// How much the long tests do; soak is for all of it.
const (
	cutStep         = 7 // from how many messages to the next a connection is cut
	crowdOperations = 1_500
	havocEvery      = 100 * time.Millisecond
)

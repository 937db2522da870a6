//go:build soak

package sqlite_test

const manyTenants = 10_000

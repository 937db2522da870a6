//go:build !soak

package sqlite_test

// manyTenants is how many TestManyTenants has; make soak takes 10,000.
const manyTenants = 60

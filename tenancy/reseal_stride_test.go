//go:build !soak

package tenancy_test

// killStride is how many steps lie between two at which a process is killed: the
// soak takes each.
const killStride = 9

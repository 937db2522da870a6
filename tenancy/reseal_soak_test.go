//go:build soak

package tenancy_test

const killStride = 1

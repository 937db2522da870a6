// Package tenancy compares reads of a tenant's rows with other libraries, which keep
// tenants apart by a predicate alone.
package tenancy

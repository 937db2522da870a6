// Package ent is what ent generates from package schema.
package ent

//go:generate go run -mod=mod entgo.io/ent/cmd/ent generate ./schema

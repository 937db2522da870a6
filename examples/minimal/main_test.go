package main

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 {
		var out bytes.Buffer
		if err := run(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "call back on Monday\n"; got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
}

// region test

// TestNotes runs on a database of its own, with two tenants and a real log.
func TestNotes(t *testing.T) {
	t.Parallel()
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	w := tenancytest.New(t, tenancy.Schema{Notes}, &tenancytest.Options{Migrations: migrations})
	a := audittest.Watch(t, w.Log, w.DB, w.A)

	n := Note{Author: uuid.New(), Text: field.New("call back on Monday")}
	if err := Notes.Insert(w.In(t, w.A), w.DB, &n); err != nil {
		t.Fatal(err)
	}
	a.Wrote(audittest.Event{Action: "notes.insert", Object: n.ID, Actor: w.Actor})
	a.Nothing()           // else
	tenancytest.Run(t, w) // what every table must keep, on yours

	// What tenants would meet by in the database below, tried and rolled back.
	tenancytest.Conform(t, w.DB, &tenancytest.ConformOptions{Schema: tenancy.Schema{Notes}})
}

// endregion

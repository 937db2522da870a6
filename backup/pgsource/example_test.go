package pgsource_test

import (
	"errors"
	"fmt"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
)

// The DSN is that of the backup login which postgres.Setup made. Over a network
// the server must be verified; nothing is sent before.
func Example() {
	_, err := pgsource.New("postgres://app_backup:secret@db.example.org/app", nil)
	fmt.Println(errors.Is(err, backup.ErrRole))

	src, err := pgsource.New("postgres://app_backup:secret@db.example.org/app?sslmode=verify-full", &pgsource.Options{
		Lines:   lines,
		Exclude: map[string]string{"search_cache": "made anew from the documents"},
	})
	fmt.Println(src.Engine(), err) // for backup.New
	// Output:
	// true
	// postgres <nil>
}

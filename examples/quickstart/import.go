package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// The limits of an import: bytes of a file, bytes of a value.
const (
	maxFile  = 16 << 20
	maxValue = 8 << 10
)

var header = []string{"name", "email", "phone", "iban", "city", "plan", "note"}

// importFile inserts all rows of a file in one transaction: all or none.
func (a *app) importFile(ctx context.Context, source fs.FS, name string) (int, error) {
	rows, err := readFile(source, name)
	if err != nil {
		return 0, fmt.Errorf("import %s: %w", name, err)
	}
	err = a.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		for i := range rows {
			if err := Customers.Insert(ctx, tx, &rows[i]); err != nil {
				return fmt.Errorf("import %s: row %d: %w", name, i+1, err)
			}
		}
		return nil
	})
	return len(rows), err
}

// readFile reads a file whole, so that nothing is written before all is known
// to be good. Errors name line and column, never a value.
func readFile(source fs.FS, name string) ([]Customer, error) {
	f, err := source.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	limited := &io.LimitedReader{R: f, N: maxFile + 1}
	r := csv.NewReader(limited)
	var rows []Customer
	for first := true; ; first = false {
		record, err := r.Read()
		switch {
		case limited.N <= 0:
			return nil, fmt.Errorf("file is larger than %d bytes", maxFile)
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err // line, column and what is wrong, no value
		case first && !slices.Equal(record, header):
			return nil, fmt.Errorf("first line must be %s", strings.Join(header, ","))
		case first:
			continue
		}
		if err := check(r, record); err != nil {
			return nil, err
		}
		rows = append(rows, customerOf(record))
	}
}

// check refuses values that no database takes.
func check(r *csv.Reader, record []string) error {
	for i, v := range record {
		line, _ := r.FieldPos(i)
		switch {
		case len(v) > maxValue:
			return fmt.Errorf("line %d: column %s is longer than %d bytes", line, header[i], maxValue)
		case !utf8.ValidString(v):
			return fmt.Errorf("line %d: column %s is not valid UTF-8", line, header[i])
		case strings.ContainsRune(v, 0):
			return fmt.Errorf("line %d: column %s holds NUL", line, header[i])
		}
	}
	return nil
}

func customerOf(record []string) Customer {
	return Customer{
		Name: orNull(record[0]), Email: orNull(record[1]), Phone: orNull(record[2]), IBAN: orNull(record[3]),
		City: record[4], Plan: record[5], Note: orNull(record[6]),
	}
}

// orNull makes an empty value NULL.
func orNull(s string) field.Encrypted[string] {
	if s == "" {
		return field.Encrypted[string]{}
	}
	return field.New(s)
}

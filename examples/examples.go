// Package examples holds the data that the example programs read: the customers
// of two tenants. All persons are invented; mail addresses and telephone numbers
// come from ranges that belong to nobody (RFC 2606; Bundesnetzagentur's numbers
// for drama), and bank codes do not exist.
package examples

import "embed"

// Data holds testdata/nordlicht.csv and testdata/suedwind.csv: name, email,
// phone, iban, city, plan, note.
//
//go:embed testdata/*.csv
var Data embed.FS

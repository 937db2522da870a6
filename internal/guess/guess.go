// Package guess tells by the names of tables and columns what a system that does
// not use the library holds. Nothing here reads a value, and a guess is never a
// decision.
package guess

import (
	"slices"
	"strings"
	"unicode"
)

// Column is a column of a foreign table.
type Column struct {
	Name string // as the table has it
	Kind Kind   // of its type
}

// Kind is what the type of a column can hold in clear.
type Kind int

// The kinds of columns.
const (
	Other Kind = iota // bytes, numbers, switches
	Text
	Date
	Address // of a network
)

// tenantNames are columns that bind a row to a customer of the vendor, without
// underscores.
var tenantNames = words(`tenant tenantid tenantuuid tenantkey orgid organisationid organizationid
	accountid customerid companyid clientid workspaceid mandant mandantid mandantenid mandantennr mandantnr
	kundeid kundenid kundennr firmaid firmenid vereinid betriebid`)

// personalWords are parts of names that speak of a person.
var personalWords = words(`email mail phone telephone telefon tel mobile mobil handy fax iban bic dob birthday
	birthdate birthplace birthname address addr adresse anschrift street strasse straße hausnummer postcode postleitzahl
	plz zip zipcode ssn svnr passport ausweis religion konfession gender geschlecht diagnosis diagnose salary gehalt
	firstname lastname surname fullname forename vorname nachname familienname kontonummer steuernummer steuerid taxid`)

// personalBeginnings begin compounds, as German makes them.
var personalBeginnings = []string{"geburt", "birth", "telefon", "email", "strasse", "straße", "ausweis", "krank", "gesundheit", "adresse", "anschrift"}

// nameBefore makes a column <word>_name that of a person.
var nameBefore = words("first last full given family sur user display contact customer person nick maiden middle")

// personTables hold persons, so that their column name is one.
var personTables = words(`user users person persons people customer customers contact contacts member members
	employee employees patient patients lead leads kunde kunden kontakt kontakte benutzer nutzer mitarbeiter
	mitglied mitglieder personen patienten ansprechpartner`)

func words(text string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		all[w] = true
	}
	return all
}

// split gives the words of a name: customer_id, customerId, CustomerID.
func split(name string) []string {
	var all []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			all = append(all, strings.ToLower(string(word)))
		}
		word = nil
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			end()
		}
		word = append(word, r)
	}
	end()
	return all
}

// Tenant reports whether a column looks as if it named a tenant.
func Tenant(name string) bool { return tenantNames[strings.Join(split(name), "")] }

// Personal lists the columns of a table that look personal and are in clear.
func Personal(table string, cols []Column) []string {
	var sure, names []string
	for _, c := range cols {
		switch {
		case c.looksPersonal():
			sure = append(sure, c.Name)
		case c.Kind == Text && strings.EqualFold(c.Name, "name"):
			names = append(names, c.Name)
		}
	}
	if len(sure) > 0 || slices.ContainsFunc(split(table), func(w string) bool { return personTables[w] }) {
		return append(names, sure...)
	}
	return nil
}

func (c Column) looksPersonal() bool {
	parts := split(c.Name)
	switch c.Kind {
	case Text:
		return personalText(parts)
	case Date:
		return slices.ContainsFunc(parts, func(w string) bool {
			return w == "dob" || strings.HasPrefix(w, "birth") || strings.HasPrefix(w, "geburt")
		})
	case Address:
		return true
	}
	return false
}

func personalText(parts []string) bool {
	if personalWords[strings.Join(parts, "")] {
		return true
	}
	for i, w := range parts {
		if personalWords[w] || i > 0 && w == "name" && nameBefore[parts[i-1]] ||
			i > 0 && strings.HasPrefix(w, "addr") && parts[i-1] == "ip" {
			return true
		}
		for _, b := range personalBeginnings {
			if strings.HasPrefix(w, b) {
				return true
			}
		}
	}
	return false
}

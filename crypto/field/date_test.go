package field_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
)

func TestDate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]field.Date{
		"1985-03-01": {Year: 1985, Month: 3, Day: 1},
		"0001-01-01": {Year: 1, Month: 1, Day: 1},
		"9999-12-31": {Year: 9999, Month: 12, Day: 31},
		"2024-02-29": {Year: 2024, Month: 2, Day: 29},
	} {
		got, err := field.ParseDate(text)
		if err != nil || got != want || got.String() != text || !got.Valid() {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if again := field.DateOf(got.In(time.UTC)); again != want {
			t.Errorf("%s: as a time %v", text, again)
		}
	}
	for _, text := range []string{
		"", "1985-3-1", "1985-02-30", "2023-02-29", "0000-01-01", "10000-01-01", "1985-13-01", "01.03.1985", "1985-03-01T00:00:00Z", " 1985-03-01", "19850-3-01",
	} {
		if got, err := field.ParseDate(text); !errors.Is(err, field.ErrDate) || got != (field.Date{}) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	zone := time.FixedZone("", 14*3600)
	if got := field.DateOf(time.Date(2026, 1, 1, 0, 0, 0, 0, zone)); got.String() != "2026-01-01" {
		t.Errorf("the day moved with the zone: %v", got)
	}
}

func TestDateStored(t *testing.T) {
	t.Parallel()
	for _, bad := range []field.Date{{}, {Year: 2023, Month: 2, Day: 29}, {Year: 10000, Month: 1, Day: 1}, {Year: -1, Month: 1, Day: 1}} {
		e := field.New(bad)
		if err := e.Seal(newCipher(t, 1), place); err == nil || bad.Valid() {
			t.Errorf("%v was sealed", bad)
		}
	}
	var body struct{ Born field.Encrypted[field.Date] }
	if err := json.Unmarshal([]byte(`{"Born":"1985-03-01"}`), &body); err != nil {
		t.Fatal(err)
	}
	if text, ok, err := body.Born.IndexText(); text != "1985-03-01" || !ok || err != nil {
		t.Errorf("index text %q, %t, %v", text, ok, err)
	}
	if got, err := body.Born.Reveal(); err != nil || got.Day != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

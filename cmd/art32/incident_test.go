package main

import (
	"testing"
	"time"
)

// TestMoment reads times of awareness, also where a clock shows one twice or never.
func TestMoment(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	b := &breach{zone: "Europe/Berlin", loc: berlin}
	for text, want := range map[string]string{
		"2026-11-23T09:15:00Z":      "2026-11-23T09:15:00Z",
		"2026-11-23T09:15:00+01:00": "2026-11-23T08:15:00Z",
		"2026-11-23 09:15":          "2026-11-23T08:15:00Z",
		"2026-07-23 09:15:30":       "2026-07-23T07:15:30Z",
		"2026-10-25 02:30":          "2026-10-25T00:30:00Z", // twice: the first
		"2026-10-25 03:30":          "2026-10-25T02:30:00Z",
	} {
		got, err := b.moment("aware", text)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got.UTC(), err)
		}
	}
	if got, err := b.moment("until", "2026-10-25 02:30"); err != nil || got.UTC().Format(time.RFC3339) != "2026-10-25T01:30:00Z" {
		t.Errorf("until: %v, %v; want the later of two", got.UTC(), err)
	}
	if b.loc, err = time.LoadLocation("Australia/Lord_Howe"); err != nil { // half an hour
		t.Fatal(err)
	}
	for name, want := range map[string]string{"from": "2026-04-04T14:45:00Z", "until": "2026-04-04T15:15:00Z"} {
		if got, err := b.moment(name, "2026-04-05 01:45"); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", name, got.UTC(), err)
		}
	}
	b.loc = berlin
	for _, text := range []string{"2026-03-29 02:30", "2026-13-01 00:00", "yesterday", "09:15", "2026-11-23"} {
		if got, err := b.moment("aware", text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got, err := b.moment("from", ""); err != nil || !got.IsZero() {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

package main

import (
	"fmt"
	"time"
)

// lastRelease is the day of the last minor release of each major version of
// PostgreSQL, of which it is out of support. Source:
// https://www.postgresql.org/support/versioning/, as of version 18.
var lastRelease = map[int]string{
	10: "2022-11-10", 11: "2023-11-09", 12: "2024-11-21", 13: "2025-11-13", 14: "2026-11-12",
	15: "2027-11-11", 16: "2028-11-09", 17: "2029-11-08", 18: "2030-11-14",
}

const oldestListed, newestListed = 10, 18

// supported judges a server_version_num at a time. Known is false for a version
// that is younger than the list.
func supported(number int, now time.Time) (text string, ok, known bool) {
	major := number / 10000
	text = fmt.Sprintf("PostgreSQL %d.%d", major, number%10000)
	switch {
	case major > newestListed:
		return text, true, false
	case major < oldestListed:
		return "the server is older than PostgreSQL 10 and long out of support", false, true
	}
	day, ended := lastRelease[major], now.UTC().Format(time.DateOnly) > lastRelease[major]
	if ended {
		return text + " is out of support since " + day, false, true
	}
	return text + ", in support until " + day, true, true
}

package rowsum_test

import (
	"fmt"

	"github.com/art32/art32/internal/rowsum"
)

// The order of the rows does not matter, their number does.
func Example() {
	var one, other, third rowsum.Sum
	for _, row := range []string{"a", "b"} {
		one.Add([]byte(row))
	}
	for _, row := range []string{"b", "a"} {
		other.Add([]byte(row))
	}
	for _, row := range []string{"a", "b", "b"} {
		third.Add([]byte(row))
	}
	fmt.Println(one.String() == other.String(), one.String() == third.String())
	// Output: true false
}

package fieldtest_test

import (
	"fmt"

	"github.com/art32/art32/crypto/field/fieldtest"
)

// Two indexes over one plaintext share the bits that one may have.
func ExampleCheckWidths() {
	fmt.Println(fieldtest.CheckWidths(100_000, 15))
	fmt.Println(fieldtest.CheckWidths(100_000, 8, 7))
	fmt.Println(fieldtest.CheckWidths(100_000, 15, 7))
	// Output:
	// <nil>
	// <nil>
	// fieldtest: unsafe width of blind indexes: 22 bits over one plaintext in 100000 rows: equal values prove equal contents; keep at most 15 bits in all
}

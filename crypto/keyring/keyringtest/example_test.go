package keyringtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
)

// A service throttles, and is down later; a key that it has wrapped is whole
// all the same.
func Example() {
	ctx := context.Background()
	kms, err := keyringtest.StartKMS()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer kms.Close()
	root := kms.Root()

	kms.Fail(1, http.StatusTooManyRequests)
	wrapped, err := root.Wrap(ctx, make([]byte, 32), []byte("place"))
	fmt.Println("wrapped after a second try:", err == nil)

	_, err = root.Unwrap(ctx, wrapped, []byte("another place"))
	fmt.Println("at another place it does not open:", errors.Is(err, keyring.ErrUnwrap))

	kms.Fail(-1, http.StatusServiceUnavailable)
	_, err = root.Unwrap(ctx, wrapped, []byte("place"))
	fmt.Println("a service that is down says so:", err != nil && !errors.Is(err, keyring.ErrUnwrap))
	// Output:
	// wrapped after a second try: true
	// at another place it does not open: true
	// a service that is down says so: true
}

// Any service can be judged, for instance from a test of package main.
func ExampleWrapperCases() {
	kms, err := keyringtest.StartKMS()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer kms.Close()
	other, err := keyringtest.StartKMS()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer other.Close()
	for _, c := range keyringtest.WrapperCases()[:1] {
		err := c.Check(context.Background(), keyringtest.Root{Wrapper: kms.Root(), Other: other.Root()})
		fmt.Println(c.Name, err)
	}
	// Output:
	// round trip <nil>
}

package password_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/art32/art32/session/password"
)

// A login: the account's text, the judgement, and the renewal that only a login
// can bring, since the password is not seen again.
func Example() {
	h, err := password.New(nil) // one for the process
	if err != nil {
		fmt.Println(err)
		return
	}
	accounts := map[string]string{}
	login := func(ctx context.Context, name, pw string) error {
		phc, known := accounts[name]
		if !known {
			return h.Dummy(ctx, []byte(pw)) // takes as long, says the same
		}
		rehash, err := h.Verify(ctx, phc, []byte(pw))
		if err != nil || !rehash {
			return err
		}
		accounts[name], err = h.Hash(ctx, []byte(pw))
		return err
	}

	ctx := context.Background()
	accounts["juergen"], err = h.Hash(ctx, []byte("vier Wörter am Stück"))
	fmt.Println(accounts["juergen"][:31], err)
	fmt.Println(login(ctx, "juergen", "vier Wörter am Stück"))
	fmt.Println(login(ctx, "juergen", "vier Wörter"))
	fmt.Println(errors.Is(login(ctx, "nobody", "vier Wörter"), password.ErrMismatch))
	// Output:
	// $argon2id$v=19$m=19456,t=2,p=1$ <nil>
	// <nil>
	// password: wrong password
	// true
}

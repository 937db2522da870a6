package audit_test

import (
	"context"
	"fmt"
	"os"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/dirplace"
	"github.com/art32/art32/audit/witness"
	"github.com/art32/art32/tenancy"
)

// A service brings the heads of its logs to a disk of somebody else's and to a witness.
func ExamplePublisher() {
	dir, err := os.MkdirTemp("", "elsewhere")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := publishing(dir); err != nil {
		fmt.Println(err)
	}
	// Output: tax-adviser witness.example/w1
}

func publishing(dir string) error {
	disk, err := dirplace.Open("tax-adviser", dir)
	if err != nil {
		return err
	}
	defer disk.Close()
	w, err := witness.New("https://witness.example", "witness.example/w1+bbfab71d+BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", nil)
	if err != nil {
		return err
	}
	publisher, err := audit.NewPublisher(&tenancy.DB{}, []audit.Place{disk, w}, nil) // the service's database
	if err != nil {
		return err
	}
	fmt.Println(disk.Name(), w.Name())
	_ = func(ctx context.Context) error { return publisher.Run(ctx) } // as long as the service runs
	return nil
}

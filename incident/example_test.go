package incident_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/foldernotifier"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// Somebody changed a customer with a stolen key: the controller is told.
func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Anton GmbH: at least 1 of at most 2 data subjects
	// 1 notice written, 1 delivered
	// left to do: acknowledge
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "incident")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, desk, closeAll, err := exampleDesk(ctx, dir)
	if err != nil {
		return err
	}
	defer closeAll()
	ctx = tenancy.WithReason(tenancy.WithActor(ctx, operator), "a stolen key was used")
	tenant, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Anton GmbH"})
	if err != nil {
		return err
	}
	in := tenancy.WithTenant(ctx, tenant.ID)
	if err := desk.SetContact(in, incident.Contact{Name: "Datenschutz", Mail: "datenschutz@anton.example"}); err != nil {
		return err
	}
	for _, actor := range []tenancy.Actor{operator, intruder} {
		c := customer{Email: field.New("a@example.org"), Plan: "basic"}
		if err := customers.Insert(tenancy.WithActor(in, actor), db, &c); err != nil {
			return err
		}
	}

	c, err := desk.Open(ctx, incident.Report{
		Aware: time.Now(), Kind: incident.Integrity, Title: "Use of a stolen key",
		Scope: tenancy.TraceQuery{Actors: []string{intruder.String()}},
	})
	if err != nil {
		return err
	}
	affected, err := desk.Affected(ctx, c.ID)
	if err != nil {
		return err
	}
	for _, a := range affected {
		fmt.Printf("%s: at least %d of at most %d data subjects\n", a.Name, a.Subjects.AtLeast, a.Subjects.AtMost)
	}
	notices, err := desk.Notify(ctx, c.ID)
	if err != nil {
		return err
	}
	n, err := desk.Deliver(ctx) // a service calls Run
	if err != nil {
		return err
	}
	fmt.Println(len(notices), "notice written,", n, "delivered")
	status, err := desk.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Println("left to do:", status[0].Tasks[0].Kind)
	return nil
}

func exampleDesk(ctx context.Context, dir string) (*tenancy.DB, *incident.Desk, func(), error) {
	w := &world{place: place{Engine: "sqlite", Dir: dir}}
	if err := keyring.CreateKeyFile(filepath.Join(dir, "root.key")); err != nil {
		return nil, nil, nil, err
	}
	root, err := keyring.KeyFile(filepath.Join(dir, "root.key"))
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := sqlite.OpenKeystore(ctx, filepath.Join(dir, "keys"))
	if err != nil {
		return nil, nil, nil, err
	}
	w.closers = append(w.closers, store.Close)
	desk, err := w.exampleOpen(ctx, root, store)
	if err != nil {
		return nil, nil, nil, err
	}
	return w.db, desk, func() { _ = w.close() }, nil
}

func (w *world) exampleOpen(ctx context.Context, root keyring.Wrapper, store keyring.Store) (*incident.Desk, error) {
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return nil, err
	}
	w.db, err = sqlite.Open(ctx, filepath.Join(w.Dir, "data"), tenancy.Schema{customers, tickets, visits}, keys, log,
		&sqlite.Options{Migrations: schemaText("sqlite"), Lines: []tenancy.Line{incident.Line()}})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, w.db.Close)
	recorder, err := audit.NewRecorder(log, w.db)
	if err != nil {
		return nil, err
	}
	folder, err := foldernotifier.New(filepath.Join(w.Dir, "notices"))
	if err != nil {
		return nil, err
	}
	return incident.New(w.db, keys, log, recorder, vendor, &incident.Options{Notifiers: map[string]incident.Notifier{"folder": folder}})
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   field.Encrypted[string] `db:"name"`
	City   string                  `db:"city"      art32:"personal"`
}

var customers = tenancy.MustRepository[customer]("customers")

// app is an application on the database of a script.
type app struct {
	db     *tenancy.DB
	sealer *audit.Sealer
	ledger tenancy.ErasureLedger
	closes []func() error
}

// world DO [N]: what the application does between the calls of art32.
//
//	world tenants N   makes the tenants $T0 … and writes 5 customers into each
//	world write N     writes a customer into $TN
//	world sql N       changes the customers of $TN by SQL
//	world seal        gives all events their place in the trees
//	world hold N      writes into $TN, seals, and stays open until the script ends
//	world erase N     erases a customer of $TN, $GONE, and tells the vault in $VAULT
//	world undone N    tells the vault alone, as if the data were restored to before
//	                  the erasure
//	world expect N WRITTEN ERASED
//	                  counts the customers of $TN
//	world logins      opens nothing
//
// It sets DB to the flag that names the database for the library login.
func world(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: world tenants|write|sql|seal|hold|erase|undone|expect|logins [N]")
	}
	if args[0] == "logins" {
		logins, err := readLogins(ts.MkAbs("logins.env"))
		ts.Check(err)
		setLogins(ts, logins)
		return
	}
	a, err := openApp(ts)
	ts.Check(err)
	if args[0] == "hold" {
		ts.Defer(a.close)
	} else {
		defer a.close()
	}
	ctx := tenancy.WithActor(context.Background(), tenancy.Person(uuid.MustParse("6f9619ff-8b86-4d11-b42d-00c04fc964ff")))
	n := 0
	if len(args) > 1 {
		n, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	switch args[0] {
	case "tenants":
		for i := range n {
			made, err := a.db.CreateTenant(tenancy.WithReason(ctx, "contract 2026-117"), tenancy.Tenant{Name: "Tenant"})
			ts.Check(err)
			ts.Setenv(fmt.Sprintf("T%d", i), made.ID.String())
			for range 5 {
				ts.Check(a.write(ctx, made.ID))
			}
		}
	case "write":
		id, err := tenancy.ParseID(ts.Getenv(fmt.Sprintf("T%d", n)))
		ts.Check(err)
		ts.Check(a.write(ctx, id))
	case "sql":
		ts.Check(a.db.InSQL(a.of(ctx, ts, n), func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET city = 'Ulm'")
			return err
		}))
	case "hold":
		id, err := tenancy.ParseID(ts.Getenv(fmt.Sprintf("T%d", n)))
		ts.Check(err)
		ts.Check(a.write(ctx, id))
		_, err = a.sealer.SealDue(ctx)
		ts.Check(err)
	case "undone":
		for c, err := range customers.List(a.of(ctx, ts, n), a.db) {
			ts.Check(err)
			if _, err := c.Name.Reveal(); err == nil {
				ts.Check(a.ledger.Erased(a.of(ctx, ts, n), c.Tenant, c.ID))
				break
			}
		}
	case "erase":
		for c, err := range customers.List(a.of(ctx, ts, n), a.db) {
			ts.Check(err)
			ts.Check(a.db.Erase(a.of(ctx, ts, n), c.ID))
			ts.Setenv("GONE", c.ID.String())
			break
		}
	case "expect":
		written, erased := 0, 0
		for c, err := range customers.List(a.of(ctx, ts, n), a.db) {
			ts.Check(err)
			written++
			if _, err := c.Name.Reveal(); errors.Is(err, field.ErrErased) {
				erased++
			}
		}
		if got := fmt.Sprint(written, " ", erased); got != args[2]+" "+args[3] {
			ts.Fatalf("world: customers and erased ones: %s", got)
		}
	case "seal":
		_, err := a.sealer.SealDue(ctx)
		ts.Check(err)
	default:
		ts.Fatalf("world: no %s", args[0])
	}
}

func (a *app) write(ctx context.Context, tenant tenancy.ID) error {
	return customers.Insert(tenancy.WithTenant(ctx, tenant), a.db, &customer{Name: field.New("Änne Müller-Lüdenscheidt"), City: "Xanten"})
}

// of is the context of $TN.
func (a *app) of(ctx context.Context, ts *testscript.TestScript, n int) context.Context {
	id, err := tenancy.ParseID(ts.Getenv(fmt.Sprintf("T%d", n)))
	ts.Check(err)
	return tenancy.WithTenant(ctx, id)
}

// ledger is that of the vault, where the script has one.
func ledger(ts *testscript.TestScript, keys *keyring.Ring) tenancy.ErasureLedger {
	if ts.Getenv("VAULT") == "" {
		return nil
	}
	dirs := strings.Fields(ts.Getenv("VAULT"))
	for i := range dirs {
		dirs[i] = ts.MkAbs(dirs[i])
	}
	v, err := backup.OpenVault(context.Background(), keys, []string{ts.Getenv("A"), ts.Getenv("B")}, dirs...)
	ts.Check(err)
	return v.Ledger()
}

func setLogins(ts *testscript.TestScript, l postgres.Logins) {
	ts.Setenv("DB", "--dsn="+l.Library)
	ts.Setenv("LIBRARY", l.Library)
	ts.Setenv("APP", l.App)
	ts.Setenv("ACROSS", l.Across)
	ts.Setenv("BACKUP", l.Backup)
}

func (a *app) close() {
	for i := len(a.closes) - 1; i >= 0; i-- {
		_ = a.closes[i]()
	}
}

func openApp(ts *testscript.TestScript) (*app, error) {
	ctx, a := context.Background(), &app{}
	key := filepath.Join(ts.Getenv("DATA"), keyFile)
	var ring *keyring.Ring
	var log *audit.Log
	keys := func(store keyring.Store) error {
		root, err := keyring.KeyFile(key)
		if err != nil {
			return err
		}
		if ring, err = keyring.New(root, store, nil); err != nil {
			return err
		}
		a.ledger = ledger(ts, ring)
		log, err = audit.New(ring, nil)
		return err
	}
	app := os.DirFS(ts.MkAbs("app"))
	schema := tenancy.Schema{customers}
	if ts.Getenv("ENGINE") == "sqlite" {
		store, err := sqlite.OpenKeystore(ctx, ts.Getenv("DATA"))
		if err != nil {
			return nil, err
		}
		a.closes = append(a.closes, store.Close)
		if err := keys(store); err != nil {
			return nil, err
		}
		if a.db, err = sqlite.Open(ctx, ts.Getenv("DATA"), schema, ring, log, &sqlite.Options{Migrations: app, Ledger: a.ledger}); err != nil {
			return nil, err
		}
		ts.Setenv("DB", "--data="+ts.Getenv("DATA"))
	} else {
		logins, err := readLogins(ts.MkAbs("logins.env"))
		if err != nil {
			return nil, err
		}
		key = ts.MkAbs("root.key")
		store, err := postgres.OpenKeystore(ctx, logins.Library)
		if err != nil {
			return nil, err
		}
		a.closes = append(a.closes, store.Close)
		if err := keys(store); err != nil {
			return nil, err
		}
		o := &postgres.Options{SetupOptions: postgres.SetupOptions{Migrations: app}, Ledger: a.ledger}
		if a.db, err = postgres.Open(ctx, logins, schema, ring, log, o); err != nil {
			return nil, err
		}
		setLogins(ts, logins)
	}
	a.closes = append(a.closes, a.db.Close)
	sealer, err := audit.NewSealer(log, a.db, nil)
	a.sealer = sealer
	return a, err
}

// readLogins reads what art32 init --out has written.
func readLogins(file string) (postgres.Logins, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return postgres.Logins{}, err
	}
	var l postgres.Logins
	for line := range strings.Lines(string(text)) {
		name, dsn, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case envLibrary:
			l.Library = dsn
		case envApp:
			l.App = dsn
		case envAcross:
			l.Across = dsn
		case envBackup:
			l.Backup = dsn
		}
	}
	return l, nil
}

// schemaWords begin statements that hit no row.
var schemaWords = regexp.MustCompile(`DROP|CREATE|ALTER|GRANT|REVOKE`)

// runSQL is `sql TENANT TEXT`: plain SQL past all protection, as an
// administrator of the database would type it. On SQLite it goes to the file of
// the tenant, and art32.x is written art32_x. DATABASE @ is the database's name.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql TENANT TEXT")
	}
	driver, dsn, text := "pgx", ts.Getenv("OWNER"), args[1]
	if ts.Getenv("ENGINE") == "sqlite" {
		id := uuid.Nil
		if args[0] != platformName {
			id = uuid.MustParse(args[0])
		}
		driver, dsn = "sqlite", "file:"+filepath.Join(ts.Getenv("DATA"), fileOf(id))
		text = strings.ReplaceAll(text, "art32.", "art32_")
	}
	db, err := sql.Open(driver, dsn)
	ts.Check(err)
	defer db.Close()
	if driver == "pgx" && strings.Contains(text, "DATABASE @") {
		var name string
		ts.Check(db.QueryRowContext(context.Background(), "SELECT quote_ident(current_database())").Scan(&name))
		text = strings.ReplaceAll(text, "DATABASE @", "DATABASE "+name)
	}
	res, err := db.ExecContext(context.Background(), strings.ReplaceAll(text, "TENANT", "'"+args[0]+"'"))
	ts.Check(err)
	if n, err := res.RowsAffected(); err == nil && n == 0 && !schemaWords.MatchString(text) {
		ts.Fatalf("sql: no row was hit")
	}
}

// makeSQLite is `[!] sqlite FILE TEXT`: it runs SQL on a file of its own, which
// with the mark stays open until the script ends.
func makeSQLite(ts *testscript.TestScript, hold bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] sqlite FILE TEXT")
	}
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	if hold {
		ts.Defer(func() { _ = db.Close() })
	} else {
		defer db.Close()
	}
	_, err = db.ExecContext(context.Background(), args[1])
	ts.Check(err)
}

// fingerprint is `fingerprint DIR FILE`: it writes names, modes, times of change
// and contents of all that lies in DIR into FILE.
func fingerprint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fingerprint DIR FILE")
	}
	var b strings.Builder
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, st.Mode(), st.ModTime())
		if st.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			fmt.Fprintf(&b, "  %x\n", sha256.Sum256(data))
			return err
		}
		return nil
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// ageKey is `agekey FILE NAME`: it writes a new identity of age, and puts its
// recipient into a variable.
func ageKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: agekey FILE NAME")
	}
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("# made for a test\n"+id.String()+"\n"), 0o600))
	ts.Setenv(args[1], id.Recipient().String())
}

// capture is `capture NAME PATTERN`: it puts what the group of the pattern
// matches in the last output into a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("capture: no match in the output")
	}
	ts.Setenv(args[0], m[1])
}

// overwrite is `overwrite FILE OFFSET TEXT`; a negative offset counts from the
// end, and the text TRUNCATE cuts there.
func overwrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: overwrite FILE OFFSET TEXT")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	if args[2] == "TRUNCATE" {
		data = data[:at]
	} else {
		copy(data[at:], args[2])
	}
	ts.Check(os.WriteFile(path, data, 0o600))
}

// mode is `mode FILE 0600`.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE OCTAL")
	}
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", st.Mode().Perm()); (got == args[1]) == neg {
		ts.Fatalf("%s has mode %s", args[0], got)
	}
}

// lookUp is `json FILE PATH WANT`, as in `json stdout logs.0.ok true` or
// `json stdout checks.check=modes.ok true`.
func lookUp(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &v); err != nil {
		ts.Fatalf("no JSON: %v", err)
	}
	for name := range strings.SplitSeq(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i, err := strconv.Atoi(name)
			if key, want, ok := strings.Cut(name, "="); ok {
				i, err = slices.IndexFunc(x, func(e any) bool { m, ok := e.(map[string]any); return ok && m[key] == want }), nil
			}
			ts.Check(err)
			if i < 0 {
				ts.Fatalf("%s: no such element", args[1])
			}
			if i >= len(x) {
				ts.Fatalf("%s: only %d elements", args[1], len(x))
			}
			v = x[i]
		}
	}
	if got := fmt.Sprint(v); (got == args[2]) == neg {
		ts.Fatalf("%s is %s", args[1], got)
	}
}

// fsck is `[!] fsck DIR`: it verifies an export as an outsider would, from its
// files alone.
func fsck(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: fsck DIR")
	}
	err := check32(ts.MkAbs(args[0]))
	if (err == nil) == neg {
		ts.Fatalf("fsck: %v", err)
	}
	ts.Logf("fsck: %v", err)
}

// check32 computes the root from the entries and compares it with the
// checkpoint and with the hashes of the tiles. It serves logs of at most 256
// entries.
func check32(dir string) error {
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		return err
	}
	c, err := audit.ParseCheckpoint(note, string(bytes.TrimSpace(key)))
	if err != nil {
		return err
	}
	part := fmt.Sprintf("000.p/%d", c.Size)
	entries, err := os.ReadFile(filepath.Join(dir, "tile", "entries", part))
	if err != nil {
		return err
	}
	tile, err := os.ReadFile(filepath.Join(dir, "tile", "0", part))
	if err != nil {
		return err
	}
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for n := int64(0); len(entries) > 2; n++ {
		size := int(binary.BigEndian.Uint16(entries))
		if len(entries) < 2+size {
			return errors.New("an entry is cut")
		}
		leaf := tlog.RecordHash(entries[2 : 2+size])
		if !bytes.HasPrefix(tile[n*tlog.HashSize:], leaf[:]) {
			return fmt.Errorf("entry %d is not that of the tile", n)
		}
		more, err := tlog.StoredHashes(n, entries[2:2+size], read)
		if err != nil {
			return err
		}
		hashes, entries = append(hashes, more...), entries[2+size:]
	}
	root, err := tlog.TreeHash(c.Size, read)
	if err == nil && root != c.Root {
		err = errors.New("the root is not that of the checkpoint")
	}
	return err
}

package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

// Keystore implements [backup.Snapshot]. It is a later view than that of the
// rows, so that the key of each row is in it, unless it was destroyed.
func (s *snapshot) Keystore(ctx context.Context, file func(name string, size int64, r io.Reader) error) error {
	err := s.source.inKeystore(ctx, func(conn *pgx.Conn, tables []table) error {
		found, err := keyless(ctx, conn, s.tenants)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return &refusal{found}
		}
		sink := fileSink(file)
		if err := keystoreScripts(ctx, sink, tables); err != nil {
			return err
		}
		for i := range tables {
			if err := s.pour(ctx, conn, &tables[i], sink); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pgsource: read keystore: %w", told(err))
	}
	return nil
}

// fileSink is a sink for what has no tenants.
type fileSink func(name string, size int64, r io.Reader) error

func (f fileSink) File(_ context.Context, _ tenancy.ID, name string, size int64, r io.Reader) error {
	return f(name, size, r)
}

func (f fileSink) Table(tenancy.ID, backup.Table) {}

// inKeystore hands fn a transaction that sees the keystore as it is now.
func (s *source) inKeystore(ctx context.Context, fn func(*pgx.Conn, []table) error) (err error) {
	conn, err := pgx.ConnectConfig(ctx, s.keystore.Copy())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp(ctx, conn)) }()
	if err := run(ctx, conn, begin, formats+qualified); err != nil {
		return err
	}
	c, err := readCatalogue(ctx, conn, nil)
	if err != nil {
		return err
	}
	if found := c.keystoreProblems(conn.Config().User); len(found) > 0 {
		return &refusal{found}
	}
	return fn(conn, c.keystore())
}

// keystoreProblems lists why the keystore could not be read.
func (c *catalogue) keystoreProblems(login string) (out []finding) {
	tables := c.keystore()
	if len(tables) == 0 {
		return []finding{{what: "the database of the keystore holds none", mend: "give Options.Keystore the DSN of the keystore"}}
	}
	for i := range tables {
		if !c.has(tables[i].Schema, tables[i].Name) {
			out = append(out, unreadable(login, keystoreSchema, "TABLE", &tables[i]))
		}
	}
	return out
}

// keys finds what is wrong with the keystore, before the work begins.
func (s *source) keys(ctx context.Context, tenants []tenancy.ID) (found []finding, err error) {
	err = s.inKeystore(ctx, func(conn *pgx.Conn, _ []table) error {
		found, err = keyless(ctx, conn, tenants)
		return err
	})
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.findings, nil
	}
	return found, err
}

package pgsource

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

// partFile begins each tenant's part, so that a restore tells a part without
// rows from one that is missing.
const (
	partFile = "part.json"
	partText = `{"format": "` + layoutFormat + `"}` + "\n"
)

// Write implements [backup.Snapshot]. What is needed to make the tables comes
// first, then table by table, each read once.
func (s *snapshot) Write(ctx context.Context, sink backup.Sink) error {
	if err := s.scripts(ctx, sink); err != nil {
		return fmt.Errorf("pgsource: write schema: %w", told(err))
	}
	for _, id := range s.tenants {
		if err := sink.File(ctx, id, partFile, int64(len(partText)), strings.NewReader(partText)); err != nil {
			return fmt.Errorf("pgsource: write parts: %w", err)
		}
	}
	for i := range s.catalogue.tables {
		if err := s.pour(ctx, s.conn, &s.catalogue.tables[i], sink); err != nil {
			return fmt.Errorf("pgsource: write rows: %w", told(err))
		}
	}
	return nil
}

func (s *snapshot) pour(ctx context.Context, conn *pgx.Conn, t *table, sink backup.Sink) error {
	return newSplitter(ctx, sink, t, s.source.part, s.tenants).read(ctx, conn)
}

// scripts writes what a restore needs beside the rows: for [Into] the layout and
// the migrations, for psql the scripts that run them.
func (s *snapshot) scripts(ctx context.Context, sink backup.Sink) error {
	l := layout{Format: layoutFormat, Lines: lists(s.files), Tables: s.catalogue.tables}
	if err := putLayout(ctx, sink, l); err != nil {
		return err
	}
	for _, f := range s.files {
		if err := put(ctx, sink, "migrations/"+f.Line+"/"+f.Name, f.SQL); err != nil {
			return err
		}
	}
	partitions, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	sequences, err := s.sequences(ctx)
	if err != nil {
		return err
	}
	for _, script := range []struct{ name, text string }{
		{"partitions.sql", partitions},
		{"sequences.sql", sequences},
		{"schema.sql", schemaScript(s.files)},
		{"load.sql", loadScript(s.catalogue.tables)},
	} {
		if err := put(ctx, sink, script.name, script.text); err != nil {
			return err
		}
	}
	return nil
}

func putLayout(ctx context.Context, sink backup.Sink, l layout) error {
	text, err := json.MarshalIndent(l, "", "\t")
	if err != nil {
		return err
	}
	return put(ctx, sink, "layout.json", string(text)+"\n")
}

// put adds a file to what tenants share.
func put(ctx context.Context, sink backup.Sink, name, text string) error {
	return sink.File(ctx, tenancy.ID{}, name, int64(len(text)), bytes.NewReader([]byte(text)))
}

// keystoreScripts writes what a restore of the keystore needs beside its rows.
func keystoreScripts(ctx context.Context, sink backup.Sink, tables []table) error {
	if err := putLayout(ctx, sink, layout{Format: layoutFormat, Tables: tables}); err != nil {
		return err
	}
	return put(ctx, sink, "load.sql", keystoreScript(tables))
}

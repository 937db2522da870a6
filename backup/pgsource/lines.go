package pgsource

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// allLines are the lines of a database in the order of postgres.Setup, each once.
func allLines(given []tenancy.Line, app fs.FS) []tenancy.Line {
	lines := postgres.Lines()
	if app != nil {
		given = append(slices.Clone(given), tenancy.Line{Name: "app", FS: app})
	}
	for _, l := range given {
		if i := slices.IndexFunc(lines, func(x tenancy.Line) bool { return x.Name == l.Name }); i >= 0 {
			lines[i] = l
		} else {
			lines = append(lines, l)
		}
	}
	return lines
}

// applied is a row of art32.migrations.
type applied struct {
	Line     string
	Version  int
	Name     string
	Checksum string
}

// migrations gives the text of every migration that the database holds, and
// finds those whose text is not at hand.
func (s *source) migrations(ctx context.Context, conn *pgx.Conn) ([]migrate.File, []finding, error) {
	rows, err := conn.Query(ctx, "SELECT line, version, name, checksum FROM art32.migrations ORDER BY line, version")
	if err != nil {
		return nil, nil, err
	}
	held, err := pgx.CollectRows(rows, pgx.RowToStructByPos[applied])
	if err != nil {
		return nil, nil, err
	}
	var files []migrate.File
	var missing []finding
	for _, l := range s.lines {
		all, err := l.Files(migrate.Postgres)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range all {
			if slices.Contains(held, applied{f.Line, f.Version, f.Name, f.Checksum}) {
				files = append(files, f)
			}
		}
	}
	for _, a := range held {
		if !slices.ContainsFunc(files, func(f migrate.File) bool { return f.Line == a.Line && f.Version == a.Version }) {
			missing = append(missing, a.missing())
		}
	}
	return files, missing, nil
}

func (a applied) missing() finding {
	mend := "give Options.Lines the line, as it was given to postgres.Setup, with the text that was applied"
	if a.Line == "app" {
		mend = "give Options.Migrations, as they were given to postgres.Setup, with the text that was applied"
	}
	return finding{what: fmt.Sprintf("the backup would not carry migration %s of line %s", a.Name, a.Line), mend: mend}
}

// lists names the files of each line, in order.
func lists(files []migrate.File) []lineList {
	var out []lineList
	for _, f := range files {
		if n := len(out); n == 0 || out[n-1].Name != f.Line {
			out = append(out, lineList{Name: f.Line})
		}
		last := &out[len(out)-1]
		last.Files = append(last.Files, f.Name)
	}
	return out
}

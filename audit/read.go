package audit

import (
	"context"
	"log/slog"
	"slices"

	"github.com/art32/art32/tenancy"
)

// Read implements [tenancy.ReadRecorder]: it queues in tx who reads which data
// subjects, each in a part of its own, so that [Filter].Subject answers who has read
// somebody's data, and an erasure removes it. More than [MaxParts] data subjects
// make several events.
func (l *Log) Read(ctx context.Context, tx *tenancy.Tx, r tenancy.Read) error {
	ev := Event{Action: r.Action, Object: r.Object, Attrs: []slog.Attr{slog.Int("rows", r.Rows), slog.Int("fields", r.Fields)}}
	for some := range slices.Chunk(r.Subjects, MaxParts) {
		ev.Parts = nil
		for _, s := range some {
			ev.Parts = append(ev.Parts, Part{Subject: s})
		}
		if err := l.Write(ctx, tx, ev); err != nil {
			return err
		}
	}
	if len(r.Subjects) > 0 {
		return nil
	}
	return l.Write(ctx, tx, ev)
}

package session

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/art32/art32/tenancy"
)

// Recorder is the audit log as this package sees it; *audit.Recorder is one.
type Recorder interface {
	// Record writes an event into the log of the context's tenant, with actor,
	// session and reason of the context. It has committed when it returns nil.
	// The manager does not do what could not be recorded.
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// The actions.
const (
	actionOpen   = "session.open"
	actionClose  = "session.close"
	actionRevoke = "session.revoke"
	actionExpire = "session.expire"
)

// record writes an event, in no transaction of the caller's: its rollback would
// take the event back when the session is gone already.
func (m *Manager) record(ctx context.Context, action string, attrs ...slog.Attr) error {
	var err error
	if tenancy.TxFrom(ctx) != nil {
		err = tenancy.ErrTxInUse
	} else {
		err = m.recorder.Record(ctx, action, attrs...)
	}
	if err != nil {
		return fmt.Errorf("session: record %s: %w", action, err)
	}
	return nil
}

package incident

import (
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// TaskKind is what somebody has to do.
type TaskKind string

// The kinds of tasks.
const (
	TaskNotify      TaskKind = "notify"      // nobody has called [Desk.Notify] yet
	TaskScope       TaskKind = "scope"       // the case touches nobody: open one with a wider scope, close this one
	TaskCount       TaskKind = "count"       // the tenant could not be counted or served, or a damaged log shows nothing: mend that, notify again; or tell it, close
	TaskContact     TaskKind = "contact"     // the tenant has no contact: set one, notify again
	TaskDeliver     TaskKind = "deliver"     // a channel has not taken the notice over
	TaskAcknowledge TaskKind = "acknowledge" // delivered, and not acknowledged
)

// Task is something that waits for a person. It ends when it is done, or when
// somebody closes it with a reason, never by running out.
type Task struct {
	Kind    TaskKind   // what
	Tenant  tenancy.ID // zero for TaskNotify and TaskScope, and for a TaskCount of the platform's log
	Notice  uuid.UUID  // nil for TaskNotify and TaskScope
	Channel string     // of TaskDeliver
	Dead    bool       // of TaskDeliver: given up
	Due     time.Time  // by when
	Overdue bool       // due, or given up
}

// tasks are the open ones at a moment. What a controller has acknowledged has
// arrived, whatever the channels say.
func (s *CaseStatus) tasks(now time.Time) []Task {
	var out []Task
	add := func(t Task) {
		t.Overdue = t.Dead || !now.Before(t.Due)
		out = append(out, t)
	}
	switch {
	case !s.Closed.IsZero():
		return nil
	case s.Notified.IsZero():
		add(Task{Kind: TaskNotify, Due: s.FirstNotice})
	case len(s.Notices) == 0:
		add(Task{Kind: TaskScope, Due: s.FirstNotice})
	}
	for _, n := range s.Notices {
		if n.Acknowledged.IsZero() && n.Closed.IsZero() {
			s.tasksOf(&n, add)
		}
	}
	return out
}

// tasksOf are those of one notice that nobody has acknowledged or closed.
func (s *CaseStatus) tasksOf(n *NoticeStatus, add func(Task)) {
	t := Task{Tenant: n.Tenant, Notice: n.ID, Due: s.FirstNotice}
	if n.Made.IsZero() {
		t.Kind = n.Wants
		add(t)
		return
	}
	arrived := false
	for _, c := range n.Channels {
		if c.Delivered.IsZero() {
			add(Task{Kind: TaskDeliver, Tenant: n.Tenant, Notice: n.ID, Channel: c.Name, Dead: !c.Dead.IsZero(), Due: s.FirstNotice})
		}
		arrived = arrived || !c.Delivered.IsZero()
	}
	if arrived {
		t.Kind, t.Due = TaskAcknowledge, s.Escalation
		add(t)
	}
}

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
	TaskContact     TaskKind = "contact"     // the tenant has no contact: set one, notify again
	TaskDeliver     TaskKind = "deliver"     // a channel has not taken the notice over
	TaskAcknowledge TaskKind = "acknowledge" // delivered, and not acknowledged
)

// Task is something that waits for a person. It ends when it is done, never by
// running out.
type Task struct {
	Kind    TaskKind   // what
	Tenant  tenancy.ID // zero for TaskNotify
	Notice  uuid.UUID  // nil for TaskNotify
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
	if s.Notified.IsZero() {
		add(Task{Kind: TaskNotify, Due: s.FirstNotice})
	}
	for _, n := range s.Notices {
		t := Task{Tenant: n.Tenant, Notice: n.ID, Due: s.FirstNotice}
		if n.Made.IsZero() {
			t.Kind = TaskContact
			add(t)
			continue
		}
		if !n.Acknowledged.IsZero() {
			continue
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
	return out
}

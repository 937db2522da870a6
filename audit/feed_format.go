package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Format appends an entry to b as exactly one line, with its end.
type Format func(b []byte, e *SealedEntry) ([]byte, error)

// JSONLines is the [Format] of docs/formats/audit-jsonl.md: one JSON object a line. What
// would act on a terminal or end a line stands escaped.
func JSONLines(b []byte, e *SealedEntry) ([]byte, error) { return appendLine(b, lineOf(e)) }

// jsonLine is version 1 of docs/formats/audit-jsonl.md.
type jsonLine struct {
	Version int          `json:"v"`
	Log     string       `json:"log"`
	Index   int64        `json:"index"`
	Event   string       `json:"event"`
	At      string       `json:"at"`
	Tenant  string       `json:"tenant,omitempty"`
	Actor   string       `json:"actor"`
	Session string       `json:"session,omitempty"`
	Action  string       `json:"action"`
	Object  string       `json:"object,omitempty"`
	Outcome string       `json:"outcome"`
	Payload *jsonPayload `json:"payload,omitempty"`
}

type jsonPayload struct {
	Reason   string                     `json:"reason,omitempty"`
	Detail   string                     `json:"detail,omitempty"`
	Fields   map[string]jsonChange      `json:"fields,omitempty"`
	Attrs    map[string]json.RawMessage `json:"attrs,omitempty"`
	Parts    []jsonPart                 `json:"parts,omitempty"`
	Withheld []string                   `json:"withheld,omitempty"`
	Erased   bool                       `json:"erased,omitempty"`
	Damaged  bool                       `json:"damaged,omitempty"`
}

// jsonPart is what the entry tells of one data subject.
type jsonPart struct {
	Subject string                     `json:"subject"`
	Attrs   map[string]json.RawMessage `json:"attrs,omitempty"`
}

type jsonChange struct {
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

const microTime = "2006-01-02T15:04:05.000000Z"

func lineOf(e *SealedEntry) *jsonLine {
	l := &jsonLine{
		Version: 1, Log: e.Log, Index: e.Number, Event: e.Entry.ID.String(), At: e.Entry.At.UTC().Format(microTime),
		Actor: e.Entry.Actor, Session: e.Entry.Session, Action: e.Entry.Action, Outcome: outcomeWord(e.Entry.Outcome),
	}
	if !e.Tenant.IsZero() {
		l.Tenant = e.Tenant.String()
	}
	if e.Entry.Object != uuid.Nil {
		l.Object = e.Entry.Object.String()
	}
	if e.Payload {
		l.Payload = payloadOf(&e.Entry)
	}
	return l
}

func payloadOf(e *Entry) *jsonPayload {
	p := &jsonPayload{Reason: e.Reason, Detail: e.Detail, Attrs: e.Attrs, Withheld: e.Withheld, Erased: e.Erased, Damaged: e.Damaged}
	for _, part := range e.Parts {
		p.Parts = append(p.Parts, jsonPart{part.Subject.String(), part.Attrs})
	}
	if len(e.Fields) > 0 {
		p.Fields = make(map[string]jsonChange, len(e.Fields))
	}
	for _, f := range e.Fields {
		p.Fields[f.Column] = jsonChange{f.Old, f.New}
	}
	return p
}

func outcomeWord(o Outcome) string {
	if o == tenancy.Done {
		return "done"
	}
	return "refused"
}

// appendLine writes v as JSON on one line, in which nothing but printable characters
// stands: encoding/json leaves DEL, the controls of ISO 8859 and marks that reorder
// text as they are, and terminals obey some.
func appendLine(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, ErrPayload // the text of the other quotes values
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r >= ' ' && r < utf8.RuneSelf-1, r >= utf8.RuneSelf && strconv.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b = append(b, text[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return append(b, '\n'), nil
}

// OCSF is the [Format] of the Open Cybersecurity Schema Framework, version 1.3.0: each
// entry is an event of class Entity Management (3004), which needs no address, as the
// open half has none. The entity is the row of the action's table; actions that are
// neither creation, reading, change nor deletion are Other, with their verb. The
// payload, where it is told, stands under unmapped as in [JSONLines].
func OCSF(b []byte, e *SealedEntry) ([]byte, error) {
	table, verb := cutAction(e.Entry.Action)
	activity, ok := ocsfActivities[verb]
	if !ok {
		activity = ocsfOther
	}
	l := lineOf(e)
	o := &ocsfEvent{
		Activity: activity, ActivityName: verb, Category: 3, CategoryName: "Identity & Access Management",
		Class: ocsfClass, ClassName: "Entity Management", Type: ocsfClass*100 + activity, Severity: 1,
		Status: 1, StatusName: "Success", Time: e.Entry.At.UnixMilli(), Entity: ocsfEntity{Type: table, UID: l.Object},
		Metadata: ocsfMetadata{
			Version: "1.3.0", Product: ocsfProduct{"art32", "art32"}, UID: l.Event, EventCode: e.Entry.Action, LogName: e.Log,
			Sequence: e.Number, TenantUID: l.Tenant, OriginalTime: e.Entry.At.UTC().Format(time.RFC3339Nano),
		},
	}
	if l.Object == "" {
		o.Entity.Name = table // one of the two is required
	}
	if e.Entry.Outcome != tenancy.Done {
		o.Status, o.StatusName = 2, "Failure"
	}
	acts, behalf, _ := strings.Cut(e.Entry.Actor, " for ")
	if id, ok := strings.CutPrefix(acts, "person:"); ok {
		o.Actor.User = &ocsfUser{id}
	} else {
		o.Actor.App = strings.TrimPrefix(strings.TrimPrefix(acts, "service:"), "system:")
	}
	if l.Session != "" {
		o.Actor.Session = &ocsfUser{l.Session}
	}
	o.Unmapped = map[string]any{}
	if behalf != "" {
		o.Unmapped["on_behalf_of"] = behalf
	}
	if l.Payload != nil {
		o.Unmapped["payload"] = l.Payload
	}
	return appendLine(b, o)
}

const (
	ocsfClass = 3004
	ocsfOther = 99
)

var ocsfActivities = map[string]int{ //nolint:gochecknoglobals // a constant of a map type
	"insert": 1, "create": 1, "read": 2, "update": 3, "delete": 4, "erase": 4,
}

// cutAction parts an action into its table and its verb, at the last full stop.
func cutAction(action string) (table, verb string) {
	if i := strings.LastIndexByte(action, '.'); i > 0 {
		return action[:i], action[i+1:]
	}
	return action, action
}

type ocsfEvent struct {
	Activity     int            `json:"activity_id"`
	ActivityName string         `json:"activity_name"`
	Category     int            `json:"category_uid"`
	CategoryName string         `json:"category_name"`
	Class        int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	Type         int            `json:"type_uid"`
	Severity     int            `json:"severity_id"`
	Status       int            `json:"status_id"`
	StatusName   string         `json:"status"`
	Time         int64          `json:"time"`
	Actor        ocsfActor      `json:"actor"`
	Entity       ocsfEntity     `json:"entity"`
	Metadata     ocsfMetadata   `json:"metadata"`
	Unmapped     map[string]any `json:"unmapped,omitempty"`
}

type ocsfActor struct {
	User    *ocsfUser `json:"user,omitempty"`
	Session *ocsfUser `json:"session,omitempty"`
	App     string    `json:"app_name,omitempty"`
}

type ocsfUser struct {
	UID string `json:"uid"`
}

type ocsfEntity struct {
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
	UID  string `json:"uid,omitempty"`
}

type ocsfMetadata struct {
	Version      string      `json:"version"`
	Product      ocsfProduct `json:"product"`
	UID          string      `json:"uid"`
	EventCode    string      `json:"event_code"`
	LogName      string      `json:"log_name"`
	Sequence     int64       `json:"sequence"`
	TenantUID    string      `json:"tenant_uid,omitempty"`
	OriginalTime string      `json:"original_time"`
}

type ocsfProduct struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

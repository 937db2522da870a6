package audit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// MaxParts is how many data subjects one event can tell of: their digests must fit
// into a leaf.
const MaxParts = 2000

// Event is what an application writes into the log by itself ([Log.Write]): an
// export, a message that was sent, a decision. Who, when and why come from the
// context, its id is drawn.
type Event struct {
	Action  string    // a word of the code, such as "export.customers"
	Object  uuid.UUID // what it was done to: a random id; nil for none
	Outcome Outcome   // default: tenancy.Done
	// Attrs concern nobody, and stay when people are erased. They are encrypted for
	// the tenant.
	Attrs []slog.Attr
	// Parts tell of data subjects, each encrypted under that one's key and erased
	// with it; at most [MaxParts].
	Parts []Part
}

// Part is what an event tells of one data subject.
type Part struct {
	Subject uuid.UUID   // the data subject's id; never nil
	Attrs   []slog.Attr // may be empty: that the event is about the person is told
}

// Write queues an event in tx: it commits with it or not at all. A reason in ctx
// goes into each part, to be erased with it, and where there is none into what
// concerns nobody. Of a person who was erased nothing is written but the keys of
// what was left out ([Entry].Withheld). It returns [tenancy.ErrNoActor],
// [tenancy.ErrNoReason] (see [Class]), [ErrAction], [ErrPayload] for a value
// without a form in JSON or a part of nobody, [ErrTooLarge], or
// [tenancy.ErrTxDone]; nothing was written then, and the caller must not go on.
// From a [tenancy.SQLTx] pass its Tx.
func (l *Log) Write(ctx context.Context, tx *tenancy.Tx, ev Event) error {
	switch {
	case tx == nil:
		return ErrNoTx
	case tx.Ended(engine.Library):
		return tenancy.ErrTxDone
	}
	e, err := l.written(ctx, tx.Tenant().UUID(), ev)
	if err != nil {
		return err
	}
	return l.queueIn(ctx, tx, e)
}

// written is the event of a [Log.Write].
func (l *Log) written(ctx context.Context, tenant uuid.UUID, ev Event) (*event, error) {
	e, err := l.openOwn(ctx, tenant, ev.Action)
	if err != nil {
		return nil, err
	}
	if ev.Outcome != 0 {
		e.leaf.Outcome = ev.Outcome
	}
	if e.leaf.Outcome != tenancy.Refused {
		if err := l.demand(ctx, ev.Action); err != nil {
			return nil, err
		}
	}
	if err := ev.check(); err != nil {
		return nil, err
	}
	e.leaf.Object = ev.Object
	e.parts, err = l.sealEvent(ctx, &e.leaf, ev, tenancy.ReasonFrom(ctx))
	return e, err
}

// check refuses what can have no leaf before anything is encrypted.
func (ev *Event) check() error {
	if len(ev.Parts) > MaxParts {
		return fmt.Errorf("audit: %d data subjects, at most %d: %w", len(ev.Parts), MaxParts, ErrTooLarge)
	}
	for i, p := range ev.Parts {
		if p.Subject == uuid.Nil {
			return fmt.Errorf("audit: part %d tells of nobody: %w", i, ErrPayload)
		}
	}
	return nil
}

// sealEvent encrypts what concerns nobody for the tenant, and the rest for each
// data subject.
func (l *Log) sealEvent(ctx context.Context, leaf *Leaf, ev Event, reason string) ([]part, error) {
	ciphers, err := l.ciphersOf(ctx, leaf, ev.Parts)
	if err != nil {
		return nil, fmt.Errorf("audit: keys of the data subjects: %w", err)
	}
	own := &payload{Attrs: attrMap(ev.Attrs)}
	if len(ev.Parts) == 0 {
		own.Reason = reason
	}
	var people []Part
	for _, p := range ev.Parts {
		if ciphers[p.Subject] != nil {
			people = append(people, p)
			continue
		}
		own.withhold(attrMap(p.Attrs), reason)
	}
	s := sealing{log: l, leaf: leaf, left: l.maxPayload}
	if !own.empty() {
		cipher, err := l.keys.TenantCipher(ctx, leaf.Tenant)
		if err != nil {
			return nil, fmt.Errorf("audit: key of the tenant: %w", err)
		}
		if err := s.add(uuid.Nil, cipher, own); err != nil {
			return nil, err
		}
	}
	for _, p := range people {
		if err := s.add(p.Subject, ciphers[p.Subject], &payload{Attrs: attrMap(p.Attrs), Reason: reason}); err != nil {
			return nil, err
		}
	}
	return s.parts, nil
}

// ciphersOf are the keys of the data subjects, absent or nil for one who was
// erased. What was refused makes none, as for a change.
func (l *Log) ciphersOf(ctx context.Context, leaf *Leaf, parts []Part) (map[uuid.UUID]*field.Cipher, error) {
	if len(parts) == 0 {
		return nil, nil //nolint:nilnil // nobody
	}
	subjects := make([]uuid.UUID, 0, len(parts))
	for _, p := range parts {
		subjects = append(subjects, p.Subject)
	}
	slices.SortFunc(subjects, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	subjects = slices.Compact(subjects)
	if leaf.Outcome == tenancy.Refused || leaf.Action == actionRead {
		return l.keys.Ciphers(ctx, leaf.Tenant, subjects)
	}
	return l.keys.CreateCiphers(ctx, leaf.Tenant, subjects)
}

// withhold notes what is left out of a person who was erased.
func (p *payload) withhold(attrs map[string]any, reason string) {
	names := slices.Collect(maps.Keys(attrs))
	if reason != "" {
		names = append(names, "reason")
	}
	p.Withheld = slices.Compact(slices.Sorted(slices.Values(append(p.Withheld, names...))))
}

// sealing encrypts the parts of one event, which together have a limit.
type sealing struct {
	log   *Log
	leaf  *Leaf
	left  int
	parts []part
}

func (s *sealing) add(subject uuid.UUID, cipher *field.Cipher, p *payload) error {
	plain, err := p.encode(s.left)
	if err != nil {
		return err
	}
	defer clear(plain)
	s.left -= len(plain)
	sealed, err := cipher.Seal(nil, plain, payloadScope(s.leaf.Tenant, s.leaf.Event, len(s.parts)))
	if err != nil {
		return fmt.Errorf("audit: seal payload: %w", err)
	}
	s.parts = append(s.parts, part{subject: subject, ciphertext: sealed})
	return nil
}

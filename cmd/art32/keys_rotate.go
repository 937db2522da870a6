package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

const kindRoot = "root"

// rotated are the kinds of keys by their words, in the order in which they are
// rotated: first the KEK, so that the others are wrapped once.
var rotated = []struct {
	word string
	kind keyring.Kind
}{
	{"kek", keyring.KEK}, {"index", keyring.IndexKeys}, {"data", keyring.DataKey}, {"subjects", keyring.SubjectKeys},
}

func keysRotateVerb() verb {
	return verb{
		name:  "keys rotate",
		brief: "give keys a successor, with which everybody seals from then on",
		login: needsKeys,
		more: `The application goes on meanwhile. A successor is introduced beside the old version;
after --ttl, when every process has read it, the old one is retired and only opens.
Then keys reseal seals the data anew, and keys destroy destroys what is retired.
--kind root wraps all keys anew under --key, which follows --old-key: every process of
the application must run with both by then (keyring.Roots).
The time that --older-than means is printed: after an interruption repeat the call
with --before and that time, so that nothing is rotated twice. The platform's keys
are rotated with those of all tenants.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &keysRotate{}
			r.changeFlags(fs)
			fs.StringVar(&r.list, "kind", "", "which keys: a `LIST` of kek, index, data, subjects, joined with commas, or root alone; required")
			fs.DurationVar(&r.age, "older-than", 0, "leave keys alone that are younger than this `DURATION`; default: 0s, for none")
			fs.StringVar(&r.moment, "before", "", "the `TIME` of an interrupted call, as it was printed; default: now less --older-than")
			fs.DurationVar(&r.ring.TTL, "ttl", 5*time.Minute, "the time to live of keys in the application's memory (keyring.Options.TTL), a `DURATION`; default: 5m")
			return r.run
		},
	}
}

// keysRotate is one call of the verb.
type keysRotate struct {
	keyVerb

	list   string
	kinds  []keyring.Kind
	root   bool
	age    time.Duration
	moment string
	before time.Time
}

func (r *keysRotate) run(ctx context.Context, out *output) (err error) {
	if err := r.resolveRotation(); err != nil {
		return err
	}
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx = acting(ctx, r.reason)
	if r.root {
		return r.rotateRoot(ctx, o, out)
	}
	ids, err := r.tenants(ctx, o)
	if err != nil {
		return err
	}
	if r.only.IsZero() {
		ids = append([]tenancy.ID{{}}, ids...)
	}
	out.textf("keys made before %s; after an interruption: --before %[1]s", r.before.Format(time.RFC3339Nano))
	return r.report(out, r.rotateAll(ctx, o, out, ids))
}

func (r *keysRotate) resolveRotation() (err error) {
	if err := r.resolveKinds(); err != nil {
		return err
	}
	if r.ring.TTL <= 0 || r.age < 0 {
		return usagef("--ttl must be positive, and --older-than must not be negative")
	}
	r.before = time.Now().Add(-r.age).UTC().Truncate(time.Millisecond)
	if r.moment != "" {
		if r.before, err = time.Parse(time.RFC3339Nano, r.moment); err != nil || r.before.After(time.Now()) {
			return usagef("--before is no time of the past of the form 2026-11-23T09:15:00Z")
		}
	}
	if r.root {
		r.tenant = allTenants
	}
	return r.resolveChange()
}

func (r *keysRotate) resolveKinds() error {
	if r.list == kindRoot {
		r.root = true
		if len(r.older) == 0 {
			return usagef("--kind root needs --old-key FILE: the root key that --key follows")
		}
		return nil
	}
	words := strings.Split(r.list, ",")
	for _, x := range rotated {
		if i := slices.Index(words, x.word); i >= 0 {
			r.kinds, words = append(r.kinds, x.kind), slices.Delete(words, i, i+1)
		}
	}
	if len(words) > 0 {
		return usagef("--kind is one or more of kek, index, data, subjects, joined with commas, or root alone")
	}
	return nil
}

func (r *keysRotate) rotateRoot(ctx context.Context, o *opened, out *output) error {
	if err := o.recorder.Record(ctx, "keys.rotate", slog.String("kind", kindRoot)); err != nil {
		return err
	}
	got, err := o.keys.RotateRoot(ctx, nil)
	v := rotationValue{Name: kindRoot, Kind: kindRoot, Rewrapped: got.Rewrapped, Left: got.Left}
	if err != nil {
		v.Wrong = err.Error()
	}
	return r.report(out, []rotationValue{v})
}

// rotationValue is what became of one kind of keys of one tenant.
type rotationValue struct {
	Name       string `json:"tenant"` // its id, platform, or root
	Kind       string `json:"kind"`
	Introduced int64  `json:"introduced"`
	Retired    int64  `json:"retired"`
	Rewrapped  int64  `json:"rewrapped"`
	Left       int64  `json:"left"`
	Wrong      string `json:"wrong,omitzero"`
}

// atOnce is how many tenants are rotated at a time: each waits one TTL for each
// kind of keys, and waiting costs nothing.
const atOnce = 256

// rotateAll rotates the tenants side by side.
func (r *keysRotate) rotateAll(ctx context.Context, o *opened, out *output, ids []tenancy.ID) (all []rotationValue) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	slow, found := paced{out: out}, make([][]rotationValue, len(ids))
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			found[i] = r.rotateOne(ctx, o, id)
			mu.Lock()
			defer mu.Unlock()
			slow.textf("…     %d of %d tenants", i+1, len(ids))
		})
	}
	wg.Wait()
	return slices.Concat(found...)
}

// rotateOne rotates the keys of a tenant, one kind after the other.
func (r *keysRotate) rotateOne(ctx context.Context, o *opened, id tenancy.ID) (all []rotationValue) {
	name := platformName
	if !id.IsZero() {
		ctx, name = tenancy.WithTenant(ctx, id), id.String()
	}
	for _, kind := range r.kinds {
		v := rotationValue{Name: name, Kind: string(kind)}
		got, err := r.rotateKind(ctx, o, id.UUID(), kind)
		if errors.Is(err, tenancy.ErrUnknownTenant) && r.only.IsZero() {
			return nil // closed: nobody reads or writes there
		}
		v.Introduced, v.Retired, v.Rewrapped, v.Left = got.Introduced, got.Retired, got.Rewrapped, got.Left
		if err != nil {
			v.Wrong = err.Error()
		}
		all = append(all, v)
	}
	return all
}

// rotateKind records what it is about to do: without an entry it does nothing.
func (r *keysRotate) rotateKind(ctx context.Context, o *opened, tenant uuid.UUID, kind keyring.Kind) (keyring.Rotation, error) {
	err := o.recorder.Record(ctx, "keys.rotate", slog.String("kind", string(kind)), slog.Time("before", r.before))
	if err != nil {
		return keyring.Rotation{}, err
	}
	return o.keys.Rotate(ctx, tenant, kind, r.before, nil)
}

func (r *keysRotate) report(out *output, all []rotationValue) error {
	ok := true
	for _, v := range all {
		v.print(out)
		ok = ok && v.Wrong == "" && v.Left == 0
	}
	err := out.value(struct {
		OK     bool            `json:"ok"`
		Before time.Time       `json:"before"`
		Keys   []rotationValue `json:"keys"`
	}{ok, r.before, all})
	if err == nil && !ok {
		err = errFindings
	}
	return err
}

func (v *rotationValue) print(out *output) {
	did := fmt.Sprintf("%s, %s: %d introduced, %d retired, %d wrapped anew", v.Name, v.Kind, v.Introduced, v.Retired, v.Rewrapped)
	switch {
	case v.Wrong != "":
		out.textf("BAD   %s; %s", did, v.Wrong)
	case v.Left > 0:
		out.textf("BAD   %s; %d left: call it again with the same --before", did, v.Left)
	default:
		out.textf("ok    %s", did)
	}
}

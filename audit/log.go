package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/aead"
	"github.com/art32/art32/tenancy"
)

// Outcome says whether what an event describes was done.
type Outcome = tenancy.Outcome

const (
	defaultMaxPayload = 4 << 20
	macSecret         = "audit/mac"
	macLabel          = "art32/audit/mac/v1"
)

// Options are the choices of a [Log]; nil and zero fields mean the defaults.
type Options struct {
	// MaxPayload limits the payload of one event before encryption, in bytes.
	// A change beyond it fails with [ErrTooLarge]. Default 4 MiB.
	MaxPayload int
	// Classes give actions a policy, beside those of the library ([Log.Classes]).
	// New refuses what asks for less than these. Default: none.
	Classes []Class
	// Logger receives what an operator must read once. Default [slog.Default].
	Logger *slog.Logger
}

// Log writes events into the transactions that they describe. It is safe for
// concurrent use; one serves all tenants of a process.
type Log struct {
	keys       *keyring.Ring
	logger     *slog.Logger
	maxPayload int
	writer     uuid.UUID
	counters   sync.Map // tenant → *atomic.Int64
	macMu      sync.Mutex
	macKey     *aead.MAC
	classes    classes
	lost       metric.Int64Counter
	holdMu     sync.Mutex
	holders    map[*tenancy.DB]*holder
}

var (
	_ tenancy.ChangeRecorder = (*Log)(nil)
	_ tenancy.LineRecorder   = (*Log)(nil)
	_ tenancy.SubjectEraser  = (*Log)(nil)
	_ tenancy.ActionChecker  = (*Log)(nil)
	_ tenancy.ReadRecorder   = (*Log)(nil)
)

// New makes the log whose payloads are encrypted with keys. It opens nothing:
// the log writes into whatever transaction it is handed. Classes that contradict
// themselves or the library's are refused with the complete list.
func New(keys *keyring.Ring, o *Options) (*Log, error) {
	if keys == nil {
		return nil, errors.New("audit: new log: keys must not be nil")
	}
	if o == nil {
		o = &Options{}
	}
	l := &Log{keys: keys, logger: o.Logger, maxPayload: o.MaxPayload, writer: uuid.New()}
	l.holders = make(map[*tenancy.DB]*holder)
	if err := l.setUp(o); err != nil {
		return nil, fmt.Errorf("audit: new log: %w", err)
	}
	if l.maxPayload <= 0 {
		l.maxPayload = defaultMaxPayload
	}
	if l.logger == nil {
		l.logger = slog.Default()
	}
	return l, nil
}

// setUp reads the classes and makes the counter of what they may lose.
func (l *Log) setUp(o *Options) (err error) {
	if l.classes, err = newClasses(o.Classes); err != nil {
		return err
	}
	l.lost, err = otel.Meter("github.com/art32/art32/audit").Int64Counter("art32.audit.lost",
		metric.WithDescription("Events of classes that fail open which could not be written, by class."), metric.WithUnit("{event}"))
	return err
}

// next is the number of the next event of this process in the tenant's log.
func (l *Log) next(tenant uuid.UUID) int64 {
	c, ok := l.counters.Load(tenant)
	if !ok {
		c, _ = l.counters.LoadOrStore(tenant, new(atomic.Int64))
	}
	return c.(*atomic.Int64).Add(1) //nolint:forcetypeassert // nothing else is stored
}

// mac is the key under which writers vouch for events until they are sealed.
func (l *Log) mac(ctx context.Context) (*aead.MAC, error) {
	l.macMu.Lock()
	defer l.macMu.Unlock()
	if l.macKey != nil {
		return l.macKey, nil
	}
	secret, err := l.keys.Secret(ctx, uuid.Nil, macSecret)
	if err != nil {
		return nil, fmt.Errorf("audit: key of the writers: %w", err)
	}
	defer clear(secret)
	if l.macKey, err = aead.NewMAC(secret); err != nil {
		return nil, fmt.Errorf("audit: key of the writers: %w", err)
	}
	return l.macKey, nil
}

// vouch computes the MAC of a leaf. It covers all but the log, which is known
// when the event is sealed.
func vouch(key *aead.MAC, l *Leaf) ([macSize]byte, error) {
	body, err := l.appendBody([]byte(macLabel))
	if err != nil {
		return [macSize]byte{}, err
	}
	sum, err := key.Append(nil, string(body), macSize)
	if err != nil {
		return [macSize]byte{}, fmt.Errorf("audit: compute MAC: %w", err)
	}
	return [macSize]byte(sum), nil
}

// digest is what a leaf holds of a part.
func (p part) digest() [digestSize]byte { return partDigest(p.subject, p.ciphertext) }

func partDigest(subject uuid.UUID, ciphertext []byte) [digestSize]byte {
	h := sha256.New()
	h.Write(subject[:])
	h.Write(ciphertext)
	return [digestSize]byte(h.Sum(nil))
}

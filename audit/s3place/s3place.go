// Package s3place keeps the signed heads of audit logs in a bucket of an S3 service,
// over github.com/minio/minio-go.
//
// It carries clause TOM-5.1 (input control). [New] gives the [audit.Place] over a
// client whose login may list, read and write in one bucket; it needs no right to
// delete.
//
// # Guarantees
//
// The service is spoken to over TLS, unless it is on the loopback interface. An
// object appears whole. A head has a name of its own, so that no other takes its place.
//
// # Not covered
//
// Whoever may delete in the bucket can take heads away: give the login no such
// right, and lock the objects (S3 Object Lock) for as long as logs are kept. The
// certificate of the service is checked as the client's transport does.
//
// # Compatibility
//
// A head is the object <prefix>art32.audit/<id of the log>/<rank>-<size>, a signed
// note. The rank has nineteen digits and falls as the size grows, so that the newest
// is the first of a list.
package s3place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"regexp"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/art32/art32/audit"
)

const (
	maxNote        = 1 << 16 // bytes
	defaultTimeout = 30 * time.Second
)

// Place is a bucket, or the part of one below a prefix. It is safe for concurrent
// use.
type Place struct {
	core    minio.Core
	name    string
	bucket  string
	prefix  string
	timeout time.Duration
}

var _ audit.Place = (*Place)(nil)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Prefix stands before all names, such as "heads/". Default: none.
	Prefix string
	// Timeout bounds one call. Default 30 seconds.
	Timeout time.Duration
}

var (
	origins  = regexp.MustCompile(`^art32\.audit/[0-9a-f-]{36}$`)
	prefixes = regexp.MustCompile(`^([A-Za-z0-9_-][A-Za-z0-9._-]*/)*$`)
)

// New returns the place called name over a bucket, which must exist. It asks nothing
// of the service. It refuses a client that does not speak TLS to a service elsewhere.
func New(name string, client *minio.Client, bucket string, o *Options) (*Place, error) {
	if name == "" || client == nil || bucket == "" {
		return nil, errors.New("s3place: new: name, client and bucket are required")
	}
	if !guarded(client.EndpointURL()) {
		return nil, errors.New("s3place: new: the service is not on this machine and is spoken to without TLS")
	}
	p := &Place{core: minio.Core{Client: client}, name: name, bucket: bucket, timeout: defaultTimeout}
	if o != nil {
		p.prefix = o.Prefix
		if o.Timeout > 0 {
			p.timeout = o.Timeout
		}
	}
	if !prefixes.MatchString(p.prefix) {
		return nil, errors.New("s3place: new: a prefix is of folders, each with a slash behind it")
	}
	return p, nil
}

// guarded reports whether what travels is encrypted, or does not leave the machine.
func guarded(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Name implements [audit.Place].
func (p *Place) Name() string { return p.name }

// Held implements [audit.Place].
func (p *Place) Held(ctx context.Context, origin string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if !origins.MatchString(origin) {
		return nil, errors.New("s3place: held: that is no origin of a log")
	}
	for x := range p.core.ListObjectsIter(ctx, p.bucket, minio.ListObjectsOptions{Prefix: p.prefix + origin + "/", MaxKeys: 1}) {
		if x.Err != nil {
			return nil, wrap(ctx, "held", x.Err)
		}
		return p.read(ctx, x.Key)
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(ctx, "held", err)
	}
	return nil, nil
}

func (p *Place) read(ctx context.Context, key string) ([]byte, error) {
	body, _, _, err := p.core.GetObject(ctx, p.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, wrap(ctx, "held", err)
	}
	note, err := io.ReadAll(io.LimitReader(body, maxNote))
	return note, wrap(ctx, "held", errors.Join(err, body.Close()))
}

// Put implements [audit.Place].
func (p *Place) Put(ctx context.Context, h *audit.Head) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if !origins.MatchString(h.Origin) {
		return nil, errors.New("s3place: put: that is no origin of a log")
	}
	key := fmt.Sprintf("%s%s/%019d-%d", p.prefix, h.Origin, math.MaxInt64-h.Size, h.Size)
	_, err := p.core.Client.PutObject(ctx, p.bucket, key, bytes.NewReader(h.Note), int64(len(h.Note)),
		minio.PutObjectOptions{ContentType: "text/plain; charset=utf-8"})
	return nil, wrap(ctx, "put", err)
}

// wrap names the verb. Of an answer of the service it keeps the code alone.
func wrap(ctx context.Context, verb string, err error) error {
	answer, is := errors.AsType[minio.ErrorResponse](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case is:
		err = fmt.Errorf("the service answers %s", answer.Code)
	}
	return fmt.Errorf("s3place: %s: %w", verb, err)
}

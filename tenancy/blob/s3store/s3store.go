// Package s3store keeps blobs in a bucket of an S3 service, over
// github.com/minio/minio-go.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung"). [New] gives the [blob.Place] over a client whose login may read,
// write, list and delete in one bucket, and abort and list its multipart uploads.
//
// # Guarantees
//
// The service is spoken to over TLS, unless it is on the loopback interface. An object
// appears whole: up to 8 MiB in one request, longer ones in parts that become one at
// the end, of which a Put holds one in memory. What was not finished is aborted, and if
// the process ended meanwhile, [blob.Store.Sweep] finds it. Lists are read in the
// pages that the service gives. No header of what the service answers reaches an error.
//
// # Not covered
//
// The certificate of the service is checked as the client's transport does; a transport
// that skips it is not noticed. Versions and locks of a bucket keep what was removed;
// nothing opens it, since its key was in the row. What the login may do in other
// buckets. Whether the bucket is open to the public: objects are encrypted, and their
// names tell ids of tenants and how much each has.
//
// # Compatibility
//
// Objects are named as [tenancy.Key] does, below a prefix of the caller's.
package s3store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"regexp"

	"github.com/minio/minio-go/v7"

	"github.com/art32/art32/tenancy/blob"
)

// partSize is what a Put holds in memory. Ten thousand parts are 80 GiB.
const partSize = 8 << 20

// Place is a bucket, or the part of one below a prefix. It is safe for concurrent use.
type Place struct {
	core   minio.Core
	bucket string
	prefix string
}

var _ blob.Place = (*Place)(nil)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Prefix stands before all names, such as "app/". Default: none.
	Prefix string
}

var (
	names    = regexp.MustCompile(`^[A-Za-z0-9._%/-]+$`)
	prefixes = regexp.MustCompile(`^([A-Za-z0-9_-][A-Za-z0-9._-]*/)*$`)
)

// New returns the place over a bucket, which must exist. It asks nothing of the
// service. It refuses a client that does not speak TLS to a service elsewhere.
func New(client *minio.Client, bucket string, o *Options) (*Place, error) {
	if client == nil || bucket == "" {
		return nil, errors.New("s3store: new: client and bucket are required")
	}
	if !guarded(client.EndpointURL()) {
		return nil, errors.New("s3store: new: the service is not on this machine and is spoken to without TLS")
	}
	p := &Place{core: minio.Core{Client: client}, bucket: bucket}
	if o != nil {
		p.prefix = o.Prefix
	}
	if !prefixes.MatchString(p.prefix) {
		return nil, errors.New("s3store: new: a prefix is of folders, each with a slash behind it")
	}
	return p, nil
}

// guarded reports whether what travels is encrypted, or does not leave the machine.
func guarded(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (p *Place) key(ctx context.Context, verb, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !names.MatchString(name) || !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("s3store: %s: that is no name of an object", verb)
	}
	return p.prefix + name, nil
}

func missing(err error) bool {
	return err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey
}

// wrap names the verb. Of an answer of the service it keeps the code alone.
func (p *Place) wrap(ctx context.Context, verb string, err error) error {
	switch answer, is := errors.AsType[minio.ErrorResponse](err); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case missing(err):
		err = fs.ErrNotExist
	case is:
		err = fmt.Errorf("the service answers %s", answer.Code)
	}
	return fmt.Errorf("s3store: %s: %w", verb, err)
}

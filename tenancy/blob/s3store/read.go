package s3store

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/art32/art32/tenancy/blob"
)

// Open implements [blob.Place].
func (p *Place) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	key, err := p.key(ctx, "open", name)
	if err != nil {
		return nil, 0, err
	}
	var o minio.GetObjectOptions
	if from > 0 {
		err = o.SetRange(from, 0)
	}
	if err != nil {
		return nil, 0, p.wrap(ctx, "open", err)
	}
	body, info, head, err := p.core.GetObject(ctx, p.bucket, key, o)
	if err != nil {
		return nil, 0, p.wrap(ctx, "open", err)
	}
	size := info.Size
	if from > 0 {
		size, err = whole(head, from)
	}
	if err != nil {
		return nil, 0, errors.Join(p.wrap(ctx, "open", err), body.Close())
	}
	return body, size, nil
}

// whole reads the length of an object from the answer to a part of it.
func whole(h http.Header, from int64) (int64, error) {
	part, length, ok := strings.Cut(strings.TrimPrefix(h.Get("Content-Range"), "bytes "), "/")
	first, _, _ := strings.Cut(part, "-")
	size, err := strconv.ParseInt(length, 10, 64)
	if !ok || err != nil || first != strconv.FormatInt(from, 10) {
		return 0, errors.New("the service did not give the part that was asked for")
	}
	return size, nil
}

// Remove implements [blob.Place].
func (p *Place) Remove(ctx context.Context, name string) error {
	key, err := p.key(ctx, "remove", name)
	if err != nil {
		return err
	}
	if err := p.core.RemoveIncompleteUpload(ctx, p.bucket, key); err != nil && !missing(err) {
		return p.wrap(ctx, "remove", err)
	}
	err = p.core.RemoveObject(ctx, p.bucket, key, minio.RemoveObjectOptions{})
	if missing(err) {
		err = nil
	}
	return p.wrap(ctx, "remove", err)
}

// List implements [blob.Place].
func (p *Place) List(ctx context.Context, prefix string) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the client's goroutine where nobody wants more
		o := minio.ListObjectsOptions{Prefix: p.prefix + prefix, Recursive: true}
		for x := range p.core.ListObjectsIter(ctx, p.bucket, o) {
			object := blob.Object{Name: strings.TrimPrefix(x.Key, p.prefix), Written: x.LastModified}
			if err := p.wrap(ctx, "list", x.Err); err != nil {
				yield(blob.Object{}, err)
				return
			}
			if !yield(object, nil) {
				return
			}
		}
		for x := range p.core.ListIncompleteUploads(ctx, p.bucket, p.prefix+prefix, true) {
			object := blob.Object{Name: strings.TrimPrefix(x.Key, p.prefix), Written: x.Initiated}
			if err := p.wrap(ctx, "list", x.Err); err != nil {
				yield(blob.Object{}, err)
				return
			}
			if !yield(object, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(blob.Object{}, p.wrap(ctx, "list", err))
		}
	}
}

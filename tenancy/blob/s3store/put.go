package s3store

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/minio/minio-go/v7"
)

// Put implements [blob.Place].
func (p *Place) Put(ctx context.Context, name string, r io.Reader) error {
	key, err := p.key(ctx, "put", name)
	if err != nil {
		return err
	}
	in := &source{r: r}
	first := bytes.NewBuffer(make([]byte, 0, 64<<10))
	_, err = io.CopyN(first, in, partSize)
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partSize, DisableMultipart: false}
	switch {
	case err == nil:
		_, err = p.core.Client.PutObject(ctx, p.bucket, key, io.MultiReader(first, in), -1, o)
	case in.err == io.EOF: //nolint:errorlint // any other is no end
		_, err = p.core.Client.PutObject(ctx, p.bucket, key, first, int64(first.Len()), o)
	}
	if in.err != nil && in.err != io.EOF { //nolint:errorlint // the same
		err = in.err
	}
	return p.wrap(ctx, "put", err)
}

// source remembers the error of r, and hides those that the client would take for its
// end.
type source struct {
	r   io.Reader
	err error
}

var errBroken = errors.New("s3store: the content broke off")

func (s *source) Read(b []byte) (int, error) {
	if s.err == nil {
		var n int
		n, s.err = s.r.Read(b)
		if n > 0 {
			return n, nil
		}
	}
	if s.err != nil && s.err != io.EOF { //nolint:errorlint // any other is no end
		return 0, errBroken
	}
	return 0, s.err
}

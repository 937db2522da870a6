package keyring

import "context"

// secret returns a copy of a key of the tenant itself that is handed out in
// bytes, and its versions. When it leaves the cache before it is copied it is read
// once more: the cache overwrites it, so there is nothing left to copy.
func (r *Ring) secret(ctx context.Context, k ref) (versions []uint32, secret []byte, err error) {
	for {
		e, err := r.one(ctx, k)
		if err != nil {
			return nil, nil, err
		}
		if secret, ok := r.cache.secret(e); ok {
			return e.versions, secret, nil
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
}

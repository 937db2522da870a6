package keyring

import "context"

// secret returns a copy of a key of the tenant itself that is handed out in
// bytes. When it leaves the cache before it is copied it is read once more: the
// cache overwrites it, so there is nothing left to copy.
func (r *Ring) secret(ctx context.Context, k ref) ([]byte, error) {
	for {
		e, err := r.one(ctx, k)
		if err != nil {
			return nil, err
		}
		if secret, ok := r.cache.secret(e); ok {
			return secret, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

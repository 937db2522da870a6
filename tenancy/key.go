package tenancy

import (
	"context"
	"fmt"
	"strings"
)

// mostKeyPart is the longest part of a key: what file systems take for a name.
const mostKeyPart = 255

// Key returns a name for what the tenant of ctx owns outside the database: a cache
// entry, a file, an object in a bucket. It is "tenants/", the tenant's id, and each
// part behind a slash, in letters, digits, "-", "_", "." and "%": other bytes are
// escaped as "%" and two hexadecimal digits. Different parts give different names,
// and no part can leave the tenant's, whatever it holds ("..", "/", NUL).
//
// It returns [ErrNoTenant], and [ErrBadValue] without a part, for an empty part, and
// for one that has more than 255 bytes once it is escaped. Letters keep their case:
// where a file system has one case only, names of one tenant may meet, those of two
// never.
func Key(ctx context.Context, parts ...string) (string, error) {
	tenant, err := TenantFrom(ctx)
	if err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("tenancy: key: no part: %w", ErrBadValue)
	}
	var b strings.Builder
	b.WriteString("tenants/" + tenant.String())
	for i, p := range parts {
		before := b.Len() + 1
		b.WriteByte('/')
		writeEscaped(&b, p)
		if n := b.Len() - before; n == 0 || n > mostKeyPart {
			return "", fmt.Errorf("tenancy: key: part %d has %d bytes, not 1 to %d: %w", i, n, mostKeyPart, ErrBadValue)
		}
	}
	return b.String(), nil
}

// writeEscaped escapes what is not harmless, and dots at either end: "." and ".."
// are places, and some file systems drop a dot at the end.
func writeEscaped(b *strings.Builder, p string) {
	const hex = "0123456789ABCDEF"
	for i := range len(p) {
		c := p[i]
		harmless := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' ||
			c == '.' && i > 0 && i < len(p)-1
		if harmless {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

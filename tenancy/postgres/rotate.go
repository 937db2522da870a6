package postgres

import (
	"context"
	"fmt"
	"time"
)

// newSealKey draws a key of 64 bytes from the server's random source and mixes
// it with the pads, all on the server: a key that travelled as a parameter could
// end in its log.
const newSealKey = `WITH k AS MATERIALIZED (
	SELECT string_agg(part, ''::bytea) AS key FROM (
		SELECT sha256(string_agg(uuid_send(gen_random_uuid()), ''::bytea)) AS part
		FROM generate_series(1, 8) i GROUP BY i % 2) halves
)
INSERT INTO art32.seal_keys (id, ipad, opad)
SELECT (SELECT coalesce(max(id), 0) + 1 FROM art32.seal_keys),
	(SELECT string_agg(set_byte('\x00', 0, get_byte(key, i) # x'36'::int), ''::bytea ORDER BY i) FROM generate_series(0, 63) i),
	(SELECT string_agg(set_byte('\x00', 0, get_byte(key, i) # x'5c'::int), ''::bytea ORDER BY i) FROM generate_series(0, 63) i)
FROM k`

// sealKey draws the key of the sealed context unless there is one.
func (s *setup) sealKey(ctx context.Context) error {
	return s.exec(ctx, newSealKey+" WHERE NOT EXISTS (SELECT FROM art32.seal_keys) ON CONFLICT DO NOTHING")
}

// RotateSeal gives the key of the seal a successor, drawn by the server, and lets
// the older ones open for the time grace, of 0 to 24 h. With [SealGrace] or more no
// statement is refused. After a key has leaked, or the password of somebody who
// could read it, use 0: contexts under it open nothing that begins from then on, and
// each instance reads the new key when the first one is refused. A transaction of
// somebody else's that was open before, and reads by its own snapshot (REPEATABLE
// READ), is not ended by that: end the sessions of the app login. It needs the
// owner's login.
func RotateSeal(ctx context.Context, ownerDSN string, grace time.Duration) (err error) {
	if grace < 0 || grace > 24*time.Hour {
		return fmt.Errorf("postgres: rotate seal: grace is %s, and must be 0 to 24h", grace)
	}
	s, err := connectOwner(ctx, ownerDSN)
	if err != nil {
		return err
	}
	defer s.close()
	return setupErr("rotate seal", s.atOnce(ctx, []string{
		"SET LOCAL ROLE " + ident(s.role("owner")),
		"LOCK TABLE art32.seal_keys IN SHARE ROW EXCLUSIVE MODE",
		"DELETE FROM art32.seal_keys WHERE retires_at < clock_timestamp()",
		fmt.Sprintf("UPDATE art32.seal_keys SET retires_at = least(retires_at, clock_timestamp() + interval '%d ms')", grace.Milliseconds()),
		newSealKey,
	}))
}

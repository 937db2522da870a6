package audit

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// idSlack is how far the time in the id of an event may be from the event's own.
const idSlack = time.Second

// ids numbers the events of the process, so that those of one microsecond keep
// their order.
var ids atomic.Uint32 //nolint:gochecknoglobals // ids are unique in a process, whatever its logs are

// newEventID draws an id that is ordered as at is, to the microsecond, and within
// one as this process drew them: a UUID of version 7 with a finer clock and a counter
// (RFC 9562, 6.2, methods 3 and 1), and 46 random bits.
func newEventID(at time.Time) uuid.UUID {
	id := firstID(at)
	_, _ = rand.Read(id[10:]) // never fails
	binary.BigEndian.PutUint16(id[8:], 0x8000|uint16(ids.Add(1)&0x3fff))
	return id
}

// firstID is the smallest id of an event at a time or later.
func firstID(at time.Time) uuid.UUID {
	us := max(at.UnixMicro(), 0)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(us/1000)<<16|0x7000|uint64(us%1000)*4096/1000)
	id[8] = 0x80
	return id
}

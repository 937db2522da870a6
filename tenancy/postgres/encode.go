package postgres

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/art32/art32/internal/engine"
)

// timeText is how times travel as parameters: UTC, in microseconds, as
// PostgreSQL stores them.
const timeText = "2006-01-02 15:04:05.999999Z07:00"

// encode appends one parameter to buf, and returns what is to be sent, nil for NULL.
// All travel as text, whose type the server infers from the statement, but bytes,
// which travel as they are.
func encode(buf []byte, a any) (grown, param []byte, format resultFormat, err error) {
	start := len(buf)
	switch v := a.(type) {
	case nil:
		return buf, nil, textFormat, nil
	case []byte:
		if v == nil {
			return buf, nil, textFormat, nil
		}
		return buf, v, binaryFormat, nil
	case textArray:
		return buf, v.binary(), binaryFormat, nil
	case string:
		buf = append(buf, v...)
	case bool:
		buf = strconv.AppendBool(buf, v)
	case int:
		buf = strconv.AppendInt(buf, int64(v), 10)
	case int64:
		buf = strconv.AppendInt(buf, v, 10)
	case float64:
		buf = strconv.AppendFloat(buf, v, 'g', -1, 64)
	case time.Time:
		buf = v.UTC().AppendFormat(buf, timeText)
	case uuid.UUID:
		buf = appendUUID(buf, v)
	case *uuid.UUID: // spares a copy on the heap
		buf = appendUUID(buf, *v)
	case driver.Valuer:
		x, err := v.Value()
		if err != nil {
			return buf, nil, 0, &engine.Error{Kind: engine.BadValue}
		}
		return encode(buf, x)
	default:
		return buf, nil, 0, &engine.Error{Kind: engine.BadValue, Text: fmt.Sprintf("type %T cannot be bound", a)}
	}
	return buf, buf[start:len(buf):len(buf)], textFormat, nil
}

// textArray travels as text[].
type textArray []string

// binary is what array_recv reads: dimensions, whether NULLs are in it, type,
// then of the one dimension its length and first index.
func (a textArray) binary() []byte {
	size := 20
	for _, s := range a {
		size += 4 + len(s)
	}
	out := make([]byte, 0, size)
	for _, n := range []int{1, 0, pgtype.TextOID, len(a), 1} {
		out = binary.BigEndian.AppendUint32(out, uint32(n))
	}
	for _, s := range a {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	return out
}

// appendUUID writes the canonical form.
func appendUUID(dst []byte, u uuid.UUID) []byte {
	for i, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

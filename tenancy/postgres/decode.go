package postgres

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/art32/art32/internal/engine"
)

// decoder reads the current row of a result in binary format. Texts and bytes
// of a result are copied into common chunks: a list of a hundred rows costs a
// few allocations, not hundreds.
type decoder struct {
	fields []pgconn.FieldDescription
	values [][]byte
	chunk  []byte
	size   int
}

var _ engine.Row = (*decoder)(nil)

// The chunks grow from the first to the last of these sizes, in bytes.
const (
	firstChunk = 512
	lastChunk  = 1 << 14
)

// Scan implements [engine.Row].
func (d *decoder) Scan(dest ...any) error {
	if len(dest) != len(d.values) {
		return fmt.Errorf("row has %d columns, not %d", len(d.values), len(dest))
	}
	for i, b := range d.values {
		if err := d.column(&d.fields[i], b, dest[i]); err != nil {
			return &engine.Error{Kind: engine.BadValue, Column: d.fields[i].Name, Text: err.Error()}
		}
	}
	return nil
}

// column decodes one value into dest.
func (d *decoder) column(f *pgconn.FieldDescription, b []byte, dest any) error {
	switch p := dest.(type) {
	case *string:
		if b != nil && textual(f.DataTypeOID) {
			*p = d.text(b)
			return nil
		}
	case *[]byte:
		return d.bytes(f, b, p)
	case *uuid.UUID:
		if len(b) == len(p) && f.DataTypeOID == pgtype.UUIDOID {
			copy(p[:], b)
			return nil
		}
	case *int64:
		return integer(f, b, p)
	case *int:
		var n int64
		err := integer(f, b, &n)
		*p = int(n)
		return err
	case *bool:
		if len(b) == 1 && f.DataTypeOID == pgtype.BoolOID {
			*p = b[0] != 0
			return nil
		}
	case *time.Time:
		if len(b) == 8 && f.DataTypeOID == pgtype.TimestamptzOID {
			return timestamp(b, p)
		}
	case sql.Scanner:
		if f.DataTypeOID == pgtype.UUIDOID && len(b) == 16 && f.Format == int16(binaryFormat) && setUUID(p, b) {
			return nil
		}
		return d.scanner(f, b, p)
	}
	return d.reflected(f, b, reflect.ValueOf(dest).Elem())
}

// setUUID sets what is a UUID under another name, such as a tenant's id, without
// the detour through its Scan.
func setUUID(dest any, b []byte) bool {
	v := reflect.ValueOf(dest)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Array || v.Elem().Type().Elem().Kind() != reflect.Uint8 || v.Elem().Len() != len(b) {
		return false
	}
	copy(v.Elem().Bytes(), b)
	return true
}

// copied copies b into the current chunk.
func (d *decoder) copied(b []byte) []byte {
	if len(b) > cap(d.chunk)-len(d.chunk) {
		d.size = min(max(2*d.size, firstChunk), lastChunk)
		d.chunk = make([]byte, 0, max(d.size, len(b)))
	}
	n := len(d.chunk)
	d.chunk = append(d.chunk, b...)
	return d.chunk[n:len(d.chunk):len(d.chunk)]
}

// text makes a string of a copy of b.
func (d *decoder) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	c := d.copied(b)
	return unsafe.String(&c[0], len(c)) //nolint:gosec // the chunk is only appended to
}

// bytes gives a copy of b; of jsonb, the text without its version.
func (d *decoder) bytes(f *pgconn.FieldDescription, b []byte, p *[]byte) error {
	if b == nil {
		*p = nil
		return nil
	}
	if f.DataTypeOID == pgtype.JSONBOID && len(b) > 0 {
		b = b[1:]
	}
	if f.DataTypeOID != pgtype.ByteaOID && f.DataTypeOID != pgtype.JSONBOID && !textual(f.DataTypeOID) {
		return mismatch(f, "[]byte")
	}
	if *p = d.copied(b); *p == nil {
		*p = []byte{}
	}
	return nil
}

func textual(oid uint32) bool {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.JSONOID:
		return true
	}
	return false
}

func integer(f *pgconn.FieldDescription, b []byte, p *int64) error {
	switch {
	case f.DataTypeOID == pgtype.Int8OID && len(b) == 8:
		*p = int64(binary.BigEndian.Uint64(b))
	case f.DataTypeOID == pgtype.Int4OID && len(b) == 4:
		*p = int64(int32(binary.BigEndian.Uint32(b)))
	case f.DataTypeOID == pgtype.Int2OID && len(b) == 2:
		*p = int64(int16(binary.BigEndian.Uint16(b)))
	default:
		return mismatch(f, "integer")
	}
	return nil
}

// timestamp reads microseconds since 2000-01-01 UTC.
func timestamp(b []byte, p *time.Time) error {
	us := int64(binary.BigEndian.Uint64(b))
	if us == math.MaxInt64 || us == math.MinInt64 {
		return fmt.Errorf("infinite time")
	}
	*p = time.UnixMicro(us + 946_684_800_000_000).UTC()
	return nil
}

// scanner feeds a type of its own with what database/sql would give it.
func (d *decoder) scanner(f *pgconn.FieldDescription, b []byte, s sql.Scanner) error {
	v, err := driverValue(f, b)
	if err != nil {
		return err
	}
	if err := s.Scan(v); err != nil {
		return mismatch(f, fmt.Sprintf("%T", s)) // its text may quote the value
	}
	return nil
}

// reflected decodes into pointers (NULL) and into types that are named after
// others.
func (d *decoder) reflected(f *pgconn.FieldDescription, b []byte, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if b == nil {
			v.SetZero()
			return nil
		}
		p := reflect.New(v.Type().Elem())
		v.Set(p)
		return d.column(f, b, p.Interface())
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		var p []byte
		err := d.bytes(f, b, &p)
		v.SetBytes(p)
		return err
	}
	if b == nil {
		return fmt.Errorf("NULL does not fit %s", v.Type())
	}
	switch v.Kind() {
	case reflect.String:
		if textual(f.DataTypeOID) {
			v.SetString(d.text(b))
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if err := integer(f, b, &n); err != nil || v.OverflowInt(n) {
			return mismatch(f, v.Type().String())
		}
		v.SetInt(n)
		return nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		var n int64
		if err := integer(f, b, &n); err != nil || n < 0 || v.OverflowUint(uint64(n)) {
			return mismatch(f, v.Type().String())
		}
		v.SetUint(uint64(n))
		return nil
	case reflect.Array:
		if f.DataTypeOID == pgtype.UUIDOID && v.Type().ConvertibleTo(reflect.TypeFor[uuid.UUID]()) {
			v.Set(reflect.ValueOf(uuid.UUID(b)).Convert(v.Type()))
			return nil
		}
	default:
	}
	types := typeMaps.Get().(*pgtype.Map) //nolint:forcetypeassert // of New
	defer typeMaps.Put(types)
	if err := types.Scan(f.DataTypeOID, pgtype.BinaryFormatCode, b, v.Addr().Interface()); err != nil {
		return mismatch(f, v.Type().String())
	}
	return nil
}

// typeMaps decode what is rare; one serves one goroutine at a time.
//
//nolint:gochecknoglobals // a pool
var typeMaps = sync.Pool{New: func() any { return pgtype.NewMap() }}

// driverValue is a binary value as one of the types of [driver.Value].
func driverValue(f *pgconn.FieldDescription, b []byte) (any, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	if f.Format == int16(textFormat) {
		return textValue(f, b)
	}
	switch f.DataTypeOID {
	case pgtype.ByteaOID:
		return append([]byte{}, b...), nil
	case pgtype.UUIDOID:
		return string(appendUUID(nil, uuid.UUID(b))), nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		var n int64
		err := integer(f, b, &n)
		return n, err
	case pgtype.TimestamptzOID:
		var t time.Time
		err := timestamp(b, &t)
		return t, err
	}
	if textual(f.DataTypeOID) {
		return string(b), nil
	}
	types := typeMaps.Get().(*pgtype.Map) //nolint:forcetypeassert // of New
	defer typeMaps.Put(types)
	dt, ok := types.TypeForOID(f.DataTypeOID)
	if !ok {
		return nil, mismatch(f, "driver.Value")
	}
	return dt.Codec.DecodeDatabaseSQLValue(types, f.DataTypeOID, pgtype.BinaryFormatCode, b)
}

// textValue is a value in text format; of types that are not built in, the text.
func textValue(f *pgconn.FieldDescription, b []byte) (any, error) {
	types := typeMaps.Get().(*pgtype.Map) //nolint:forcetypeassert // of New
	defer typeMaps.Put(types)
	dt, ok := types.TypeForOID(f.DataTypeOID)
	if !ok || textual(f.DataTypeOID) || f.DataTypeOID == pgtype.UUIDOID {
		return string(b), nil
	}
	return dt.Codec.DecodeDatabaseSQLValue(types, f.DataTypeOID, pgtype.TextFormatCode, b)
}

func mismatch(f *pgconn.FieldDescription, want string) error {
	return fmt.Errorf("type with OID %d does not fit %s", f.DataTypeOID, want)
}

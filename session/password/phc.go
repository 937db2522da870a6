package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What a stored text may hold. The lower bounds are those of RFC 9106 and of
// the PHC string format, so that what other programs wrote can be read; the
// upper ones keep a hostile row from taking the machine. Memory is bounded by
// the budget besides.
const (
	maxText = 256
	minSalt = 8
	maxSalt = 64
	minHash = 16 // a shorter one could be met by chance
	maxHash = 64
	maxWork = 1 << 20 // memory in KiB times passes: five times RFC9106Second
	minLane = 8       // KiB of memory a lane, RFC 9106, section 3.1

	saltSize = 16 // of what is written
	hashSize = 32
)

// stored is the text that an account keeps.
type stored struct {
	params

	salt, hash []byte
}

var coding = base64.RawStdEncoding.Strict()

// String is the PHC string.
func (s stored) String() string {
	return "$argon2id$v=19$" + s.params.String() + "$" + coding.EncodeToString(s.salt) + "$" + coding.EncodeToString(s.hash)
}

// The reasons name no part of the text: it is a secret of its account.
var (
	errForm   = errors.New(`not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash`)
	errBounds = errors.New("parameters, salt or hash out of bounds")
)

// parse reads a PHC string in the one form in which the reference
// implementation writes it.
func parse(text string) (s stored, err error) {
	if len(text) > maxText {
		return s, errForm
	}
	part := strings.Split(text, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v=19" {
		return s, errForm
	}
	if s.params, err = parseParams(part[3]); err != nil {
		return s, err
	}
	if s.salt, err = decode(part[4], minSalt, maxSalt); err != nil {
		return s, err
	}
	s.hash, err = decode(part[5], minHash, maxHash)
	return s, err
}

func parseParams(text string) (p params, err error) {
	var n [3]uint64
	words := strings.Split(text, ",")
	if len(words) != len(n) {
		return p, errForm
	}
	for i, name := range [...]string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(words[i], name)
		if !ok {
			return p, errForm
		}
		if n[i], err = strconv.ParseUint(digits, 10, 32); err != nil || strconv.FormatUint(n[i], 10) != digits {
			return p, errForm
		}
	}
	m, t, lanes := n[0], n[1], n[2]
	if lanes < 1 || lanes > 255 || t < 1 || m < minLane*lanes || m*t > maxWork {
		return p, errBounds
	}
	return params{memory: uint32(m), time: uint32(t), threads: uint8(lanes)}, nil
}

func decode(text string, least, most int) ([]byte, error) {
	b, err := coding.DecodeString(text)
	// DecodeString passes over line breaks, which have no place here.
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errForm
	}
	if len(b) < least || len(b) > most {
		return nil, errBounds
	}
	return b, nil
}

// load parses the text that an account keeps and refuses what does not fit the
// budget.
func (h *Hasher) load(text string) (stored, error) {
	s, err := parse(text)
	if err == nil && s.bytes() > h.memory {
		err = errBounds
	}
	if err != nil {
		return stored{}, fmt.Errorf("%w: %w", ErrHash, err)
	}
	return s, nil
}

package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/art32/art32/internal/engine"
)

// sealLife is how long a sealed context stays valid. A transaction of callers'
// text that lasts longer is refused from then on.
const sealLife = 60 * time.Second

// seal mints sealed contexts under one key; see docs/formats/sealed-context.md.
type seal struct {
	id         int
	ipad, opad []byte
}

// mint writes the context of s, valid until now + [sealLife]. Its parts hold no
// dot: they are UUIDs, words and identifiers.
func (k *seal) mint(s engine.Scope, now time.Time) string {
	text := strconv.Itoa(k.id) + "." + s.Tenant.String() + "." + s.Actor + "." + s.Session + "." +
		strconv.FormatInt(now.Add(sealLife).Unix(), 10)
	return text + "." + hex.EncodeToString(k.mac(text))
}

// mac is HMAC-SHA256 with the pads already mixed into the key (RFC 2104).
func (k *seal) mac(text string) []byte {
	inner := sha256.Sum256(append(append(make([]byte, 0, 192), k.ipad...), text...))
	outer := sha256.Sum256(append(append(make([]byte, 0, 96), k.opad...), inner[:]...))
	return outer[:]
}

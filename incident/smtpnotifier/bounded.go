package smtpnotifier

import (
	"bytes"
	"errors"
	"net"
)

const (
	// maxReplies is all that a server may say in one conversation, the handshake
	// of TLS included, in bytes. A reply line has at most 512 (RFC 5321, 4.5.3.1.5).
	maxReplies = 256 << 10
	// maxLine is for a line before TLS, when anybody on the way may be speaking.
	maxLine = 4 << 10
)

var errTooLong = errors.New("smtpnotifier: the server says more than a mail server has to say")

// bounded is a connection that reads no more than it is granted: who reads line by
// line keeps a line in memory until it ends.
type bounded struct {
	net.Conn

	left, line int
	encrypted  bool
}

// Read implements [net.Conn].
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	b.left -= n
	if n > 0 && b.line == 0 && (p[0] == tlsHandshake || p[0] == tlsAlert) {
		b.encrypted = true // a reply begins with a digit
	}
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		b.line = n - i - 1
	} else {
		b.line += n
	}
	if b.left < 0 || !b.encrypted && b.line > maxLine {
		return 0, errTooLong
	}
	return n, err
}

// The first bytes of records of TLS (RFC 8446, 5.1).
const (
	tlsAlert     = 21
	tlsHandshake = 22
)

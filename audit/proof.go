package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	proofExtra  = "extra "
	proofIndex  = "index "
	maxProof    = 1 << 18 // bytes: a leaf in base64, 63 hashes and a checkpoint fit
	maxLog      = 1 << 56 // entries: a larger log has more levels of tiles than are read
)

// ErrProof says that a proof is malformed, or does not show what it must.
var ErrProof = errors.New("audit: proof not valid")

// Proven is an entry that a proof has shown to lie in a log.
type Proven struct {
	// Index is the entry's number in that log, from 0.
	Index int64
	// Leaf is the entry.
	Leaf Leaf
	// Checkpoint is the signed head under which it was shown.
	Checkpoint Checkpoint
}

// VerifyProof checks a proof in the form of c2sp.org/tlog-proof, as [Prove] and
// [ProveExported] make it, against vkey, the public key of the entry's log in the
// form of a note verifier. It needs neither database nor export. The caller must
// know that the log is the tenant's: [VerifyExport] shows that. Any fault is
// [ErrProof].
func VerifyProof(proof []byte, vkey string) (Proven, error) {
	id, err := logOfKey(strings.TrimSpace(vkey))
	if err != nil {
		return Proven{}, fmt.Errorf("%w: the public key is malformed or not one of a log", ErrProof)
	}
	p, err := parseProof(proof)
	if err != nil {
		return Proven{}, err
	}
	c, err := ParseCheckpoint(p.checkpoint, vkey)
	if err != nil {
		return Proven{}, fmt.Errorf("%w: the checkpoint: %s", ErrProof, faultOf(err))
	}
	if !p.shows(c) {
		return Proven{}, fmt.Errorf("%w: the entry is not entry %d of the log of %d entries that is signed", ErrProof, p.index, c.Size)
	}
	leaf, err := ParseLeaf(p.leaf)
	if err != nil || leaf.Log != id {
		return Proven{}, fmt.Errorf("%w: the entry is no leaf of this log", ErrProof)
	}
	return Proven{Index: p.index, Leaf: leaf, Checkpoint: c}, nil
}

// proof shows that a leaf lies in a tree. The leaf is its extra data.
type proof struct {
	index      int64
	hashes     tlog.RecordProof
	leaf       []byte
	checkpoint []byte // signed
}

// shows reports whether the leaf lies in the tree of c.
func (p *proof) shows(c Checkpoint) bool {
	if p.index < 0 || p.index >= c.Size || c.Size > maxLog {
		return false
	}
	return tlog.CheckRecord(p.hashes, c.Size, c.Root, p.index, tlog.RecordHash(p.leaf)) == nil
}

// text is the one form of a proof.
func (p *proof) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s%s\n%s%d\n", proofHeader, proofExtra, base64.StdEncoding.EncodeToString(p.leaf), proofIndex, p.index)
	for _, h := range p.hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.checkpoint)
	return b.Bytes()
}

// parseProof takes the one form that text writes.
func parseProof(b []byte) (*proof, error) {
	malformed := fmt.Errorf("%w: malformed", ErrProof)
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok || len(b) > maxProof {
		return nil, malformed
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) < 3 || len(lines) > 3+63 || lines[0] != proofHeader {
		return nil, malformed
	}
	extra, hasLeaf := strings.CutPrefix(lines[1], proofExtra)
	index, hasIndex := strings.CutPrefix(lines[2], proofIndex)
	n, err := strconv.ParseInt(index, 10, 64)
	if !hasLeaf || !hasIndex || err != nil || n < 0 {
		return nil, malformed
	}
	leaf, err := base64.StdEncoding.DecodeString(extra)
	if err != nil {
		return nil, malformed
	}
	p := &proof{index: n, leaf: leaf, checkpoint: checkpoint}
	for _, l := range lines[3:] {
		h, err := base64.StdEncoding.DecodeString(l)
		if err != nil || len(h) != tlog.HashSize {
			return nil, malformed
		}
		p.hashes = append(p.hashes, tlog.Hash(h))
	}
	if !bytes.Equal(p.text(), b) {
		return nil, malformed
	}
	return p, nil
}

package witness_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/witness"
)

const witnessName = "witness.example/w1"

// server is a witness that demands all that c2sp.org/tlog-witness allows it to.
type server struct {
	*httptest.Server

	t    *testing.T
	key  ed25519.PrivateKey
	vkey string

	mu    sync.Mutex
	keys  map[string]string // the logs that it knows: their keys by origin
	held  map[string]tlog.Tree
	asked []string // the first line of each request
	// answer replaces the answer to what is right.
	answer func(w http.ResponseWriter, right string)
}

func newServer(t *testing.T) *server {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	s := &server{t: t, key: ed25519.NewKeyFromSeed(seed[:]), keys: map[string]string{}, held: map[string]tlog.Tree{}}
	s.vkey = witnessKey(witnessName, s.key)
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func keyBytes(key ed25519.PrivateKey) []byte {
	return append([]byte{4}, key.Public().(ed25519.PublicKey)...)
}

func keyHash(name string, key ed25519.PrivateKey) []byte {
	sum := sha256.Sum256(append([]byte(name+"\n"), keyBytes(key)...))
	return sum[:4]
}

func witnessKey(name string, key ed25519.PrivateKey) string {
	return fmt.Sprintf("%s+%x+%s", name, keyHash(name, key), base64.StdEncoding.EncodeToString(keyBytes(key)))
}

// cosign is the line for a text, given at a time.
func cosign(name string, key ed25519.PrivateKey, text string, at uint64) string {
	sig := binary.BigEndian.AppendUint64(keyHash(name, key), at)
	sig = append(sig, ed25519.Sign(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	head, signed, ok := strings.Cut(string(body), "\n\n")
	if err != nil || !ok || r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint" {
		s.t.Errorf("%s %s: %q, %v", r.Method, r.URL.Path, body, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	lines := strings.Split(head, "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, lines[0])
	origin, _, _ := strings.Cut(signed, "\n")
	key := s.keys[origin]
	if key == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c, err := audit.ParseCheckpoint([]byte(signed), key)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.judge(w, lines, signed, c)
}

func (s *server) judge(w http.ResponseWriter, lines []string, signed string, c audit.Checkpoint) {
	digits, ok := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || strconv.FormatInt(old, 10) != digits || old > c.Size || len(lines) > 64 || old == 0 && len(lines) > 1 {
		s.t.Errorf("malformed: %q", lines)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	held := s.held[c.Origin]
	var proof tlog.TreeProof
	for _, l := range lines[1:] {
		h, err := tlog.ParseHash(l)
		if err != nil {
			s.t.Errorf("malformed: %q", l)
		}
		proof = append(proof, h)
	}
	switch {
	case old != held.N:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%d\n", held.N)
		return
	case old == c.Size && held.Hash != c.Root:
		w.WriteHeader(http.StatusConflict)
		return
	case old > 0 && tlog.CheckTree(proof, c.Size, c.Root, old, held.Hash) != nil:
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.held[c.Origin] = tlog.Tree{N: c.Size, Hash: c.Root}
	text, _, _ := strings.Cut(signed, "\n\n")
	right := cosign(witnessName, s.key, text+"\n", uint64(time.Now().Unix()))
	if s.answer != nil {
		s.answer(w, right)
		return
	}
	_, _ = io.WriteString(w, right)
}

func (s *server) place(t *testing.T) *witness.Witness {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	p, err := witness.New(s.URL+"/prefix", s.vkey, &witness.Options{RootCAs: roots, Timeout: 5 * time.Second})
	must(t, err)
	return p
}

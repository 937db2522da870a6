package keyringtest

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// KMS is a key management service in this process, behind real HTTP and TLS: it
// holds versions of one key, which never leave it, takes an encryption context
// with each request, and throttles, hangs, fails and lies when a test has it do
// so. It is safe for concurrent use.
type KMS struct {
	server *httptest.Server
	token  string
	done   chan struct{} // closed when the service ends

	mu       sync.Mutex
	versions map[uint32]*aead.AEAD
	current  uint32
	delay    time.Duration
	failing  int // requests that fail from now on; negative: all
	status   int
	lie      func(key []byte) []byte
	requests int
}

// NewKMS starts a service with one version of a random key. It ends with the
// test.
func NewKMS(tb testing.TB) *KMS {
	tb.Helper()
	k, err := StartKMS()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(k.Close)
	return k
}

// StartKMS is [NewKMS] where there is no test. The caller closes the service.
func StartKMS() (*KMS, error) {
	k := &KMS{token: uuid.NewString(), done: make(chan struct{}), versions: make(map[uint32]*aead.AEAD)}
	if err := k.Rotate(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/encrypt", k.serve(k.encrypt))
	mux.HandleFunc("POST /v1/decrypt", k.serve(k.decrypt))
	k.server = httptest.NewTLSServer(mux)
	return k, nil
}

// Close ends the service, once. Its key is gone.
func (k *KMS) Close() {
	close(k.done)
	k.server.Close()
}

// Root returns a Wrapper that talks to the service as its user.
func (k *KMS) Root() *KMSRoot {
	client := *k.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &KMSRoot{URL: k.server.URL, Token: k.token, Client: &client}
}

// Rotate makes a new version of the key, with which the service encrypts from
// now on. It decrypts with all.
func (k *KMS) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := newKey()
	defer clear(key)
	a, err := aead.New("art32/keyringtest/kms", k.current+1, key)
	if err != nil {
		return err
	}
	k.current++
	k.versions[k.current] = a
	return nil
}

// Destroy has the service forget all versions but the current one.
func (k *KMS) Destroy() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.versions = map[uint32]*aead.AEAD{k.current: k.versions[k.current]}
}

// Delay has each request wait before it is served; an hour stands for a service
// that hangs.
func (k *KMS) Delay(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = d
}

// Fail has the next n requests answered with an HTTP status, all of them when n
// is negative: 429 to throttle, 503 for a service that is down, 403 for one that
// no longer knows its user.
func (k *KMS) Fail(n, status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failing, k.status = n, status
}

// Lie has the service return what change makes of each key that it decrypts; nil
// has it tell the truth.
func (k *KMS) Lie(change func(key []byte) []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lie = change
}

// Requests counts what has arrived, failures included.
func (k *KMS) Requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests
}

// kmsRequest and kmsAnswer are the protocol; []byte is base64 in JSON.
type kmsRequest struct {
	Plaintext   []byte `json:"plaintext,omitempty"`
	Ciphertext  []byte `json:"ciphertext,omitempty"`
	Context     []byte `json:"context"`
	CurrentOnly bool   `json:"current_only,omitempty"`
}

type kmsAnswer struct {
	Plaintext  []byte `json:"plaintext,omitempty"`
	Ciphertext []byte `json:"ciphertext,omitempty"`
	Error      string `json:"error,omitempty"`
}

// invalidCiphertext is how the service says that something does not open.
const invalidCiphertext = "invalid_ciphertext"

// serve does what a service does before it looks at a request.
func (k *KMS) serve(answer func(kmsRequest) (int, kmsAnswer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := k.arrive(r)
		if status == 0 {
			return // nobody waits any more
		}
		var in kmsRequest
		var out kmsAnswer
		switch err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(&in); {
		case status != http.StatusOK:
			out.Error = "try_later"
			w.Header().Set("Retry-After", "0")
		case subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+k.token)) != 1:
			status, out.Error = http.StatusUnauthorized, "unauthorized"
		case err != nil:
			status, out.Error = http.StatusBadRequest, "malformed"
		default:
			status, out = answer(in)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	}
}

// arrive counts the request and has it wait; 0 when its sender left meanwhile.
func (k *KMS) arrive(r *http.Request) (status int) {
	k.mu.Lock()
	k.requests++
	delay := k.delay
	status = http.StatusOK
	if k.failing != 0 {
		k.failing = max(k.failing-1, -1)
		status = k.status
	}
	k.mu.Unlock()
	if delay == 0 {
		return status
	}
	select {
	case <-time.After(delay):
		return status
	case <-r.Context().Done():
	case <-k.done:
	}
	return 0
}

func (k *KMS) encrypt(in kmsRequest) (int, kmsAnswer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sealed, err := k.versions[k.current].Seal(nil, in.Plaintext, string(in.Context))
	if err != nil {
		return http.StatusBadRequest, kmsAnswer{Error: "malformed"}
	}
	return http.StatusOK, kmsAnswer{Ciphertext: sealed}
}

func (k *KMS) decrypt(in kmsRequest) (int, kmsAnswer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	version, ok := aead.KeyVersion(in.Ciphertext)
	key := k.versions[version]
	if !ok || key == nil || in.CurrentOnly && version != k.current {
		return http.StatusBadRequest, kmsAnswer{Error: invalidCiphertext}
	}
	plain, err := key.Open(nil, in.Ciphertext, string(in.Context))
	if err != nil {
		return http.StatusBadRequest, kmsAnswer{Error: invalidCiphertext}
	}
	if k.lie != nil {
		plain = k.lie(plain)
	}
	return http.StatusOK, kmsAnswer{Plaintext: plain}
}

package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/art32/art32/audit"
)

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 16 << 10 // bytes; a cosignature has about two hundred
	sizeType       = "text/x.tlog.size"
)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// RootCAs verify the service. Default: those of the system.
	RootCAs *x509.CertPool
	// Timeout bounds one request. Default 30 seconds.
	Timeout time.Duration
}

// Witness is a witness at its URL. It is safe for concurrent use.
type Witness struct {
	url    string
	key    *verifier
	client *http.Client

	mu    sync.Mutex
	sizes map[string]int64 // what it cosigned last, by origin, as far as it is known
}

var _ audit.Place = (*Witness)(nil)

// New returns the witness at prefix, the submission prefix of its URL, whose public
// key is vkey, in the form of a note verifier key of type 4. It asks nothing of the
// service. It refuses an http URL to another machine.
func New(prefix, vkey string, o *Options) (*Witness, error) {
	u, err := url.Parse(prefix)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("witness: new: the URL of a witness is its scheme, host and path")
	}
	if !guarded(u) {
		return nil, errors.New("witness: new: the witness is not on this machine and is spoken to without TLS")
	}
	key, err := parseKey(vkey)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &Options{}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &Witness{
		url: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", key: key, sizes: make(map[string]int64),
		client: &http.Client{
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:           http.ProxyFromEnvironment,
				TLSClientConfig: &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			},
		},
	}, nil
}

// guarded reports whether what travels is encrypted, or does not leave the machine.
func guarded(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Name implements [audit.Place]: it is that of the witness's key.
func (w *Witness) Name() string { return w.key.name }

// Held implements [audit.Place]: a witness cannot be asked, and judges in Put.
func (w *Witness) Held(context.Context, string) ([]byte, error) { return nil, nil }

// Put implements [audit.Place]. It returns the cosignatures of the witness.
func (w *Witness) Put(ctx context.Context, h *audit.Head) ([]string, error) {
	old := w.size(h.Origin)
	if old > h.Size {
		old = 0 // the witness will say what it holds
	}
	a, err := w.submit(ctx, h, old)
	if err == nil && a.code == http.StatusConflict && a.held >= 0 && a.held != old && a.held <= h.Size {
		old = a.held
		a, err = w.submit(ctx, h, old)
	}
	if err != nil {
		return nil, err
	}
	return w.judge(h, old, a)
}

func (w *Witness) size(origin string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sizes[origin]
}

// answer is what a witness has said.
type answer struct {
	code int
	held int64 // of a conflict: the size that it holds; -1: it does not say
	body []byte
}

// judge says what an answer means.
func (w *Witness) judge(h *audit.Head, old int64, a answer) ([]string, error) {
	d := &audit.Disagreement{Place: w.Name(), Origin: h.Origin, Looks: audit.Forked, Held: old, Ours: h.Size}
	switch a.code {
	case http.StatusOK:
		lines, err := w.key.lines(append(bytes.Clone(h.Note), a.body...))
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sizes[h.Origin] = h.Size
		return lines, nil
	case http.StatusNotFound, http.StatusForbidden: // some say the latter of a log that they do not know
		return nil, audit.ErrNotTaken
	case http.StatusUnprocessableEntity:
		return nil, d // our proof is right, so that its tree is another
	case http.StatusConflict:
		if a.held > h.Size {
			d.Looks, d.Held = audit.RolledBack, a.held
			return nil, d
		}
		if old == h.Size && (a.held == old || a.held < 0) {
			return nil, d // the same size, and another root
		}
	}
	return nil, fmt.Errorf("witness: it answers with status %d", a.code)
}

// submit sends one add-checkpoint.
func (w *Witness) submit(ctx context.Context, h *audit.Head, old int64) (answer, error) {
	proof, err := h.Prove(ctx, old)
	if err != nil {
		return answer{}, err
	}
	body := []byte("old " + strconv.FormatInt(old, 10) + "\n")
	for _, hash := range proof {
		body = append(base64.StdEncoding.AppendEncode(body, hash[:]), '\n')
	}
	body = append(append(body, '\n'), h.Note...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("witness: ask: %w", err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("witness: ask: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("witness: read the answer: %w", err)
	}
	return answer{code: resp.StatusCode, held: heldSize(resp, text), body: text}, nil
}

// heldSize reads the size in the answer to a conflict.
func heldSize(resp *http.Response, body []byte) int64 {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	n, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 64)
	if resp.StatusCode != http.StatusConflict || strings.TrimSpace(kind) != sizeType || err != nil || n > math.MaxInt64 {
		return -1
	}
	return int64(n)
}

package keyringtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/art32/art32/crypto/keyring"
)

// KMSRoot is a [keyring.Wrapper] for the service that [KMS] is, written as one
// for a real service is to be written:
//
//   - The place of the key goes along as the encryption context, so that the
//     service refuses it anywhere else.
//   - Only the service's own word that a ciphertext does not open becomes
//     [keyring.ErrUnwrap]. All else, from a name that does not resolve to a body
//     that is no JSON, is a service that did not answer.
//   - What the service says is never part of an error: it may repeat what it was
//     sent.
//   - It waits as long as ctx lets it, and tries again what the service could not
//     take.
//
// It is safe for concurrent use.
type KMSRoot struct {
	URL    string       // https://host
	Token  string       // of the user
	Client *http.Client // verifies the service, and follows no redirect with a key
}

var (
	_ keyring.Wrapper          = (*KMSRoot)(nil)
	_ keyring.CurrentUnwrapper = (*KMSRoot)(nil)
)

const (
	maxAnswer  = 64 << 10
	kmsTries   = 5
	firstPause = 10 * time.Millisecond // doubled each time
)

// Wrap implements [keyring.Wrapper].
func (r *KMSRoot) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	out, err := r.call(ctx, "encrypt", kmsRequest{Plaintext: key, Context: aad})
	if err == nil && len(out.Ciphertext) == 0 {
		err = errors.New("kms: encrypt: an answer without ciphertext")
	}
	return out.Ciphertext, err
}

// Unwrap implements [keyring.Wrapper].
func (r *KMSRoot) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	out, err := r.call(ctx, "decrypt", kmsRequest{Ciphertext: wrapped, Context: aad})
	return out.Plaintext, err
}

// UnwrapCurrent implements [keyring.CurrentUnwrapper]: the versions are the
// service's, so it is asked.
func (r *KMSRoot) UnwrapCurrent(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	out, err := r.call(ctx, "decrypt", kmsRequest{Ciphertext: wrapped, Context: aad, CurrentOnly: true})
	return out.Plaintext, err
}

// call tries until the service answers, ctx ends or it was often enough.
func (r *KMSRoot) call(ctx context.Context, verb string, in kmsRequest) (out kmsAnswer, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("kms: %s: the request cannot be written", verb)
	}
	defer clear(body)
	pause := firstPause
	for try := range kmsTries {
		if try > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return kmsAnswer{}, fmt.Errorf("kms: %s: %w", verb, context.Cause(ctx))
			}
			pause *= 2
		}
		var again bool
		if out, again, err = r.once(ctx, verb, body); !again {
			break
		}
	}
	return out, err
}

// once reports whether it is worth another try.
func (r *KMSRoot) once(ctx context.Context, verb string, body []byte) (out kmsAnswer, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/v1/"+verb, bytes.NewReader(body))
	if err != nil {
		return out, false, fmt.Errorf("kms: %s: %w", verb, err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.Client.Do(req)
	if err != nil {
		return out, ctx.Err() == nil, fmt.Errorf("kms: %s: %w", verb, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	defer clear(text)
	if err == nil && json.Unmarshal(text, &out) != nil {
		err = errors.New("the answer is no JSON") // json's error quotes it
	}
	switch {
	case resp.StatusCode == http.StatusBadRequest && out.Error == invalidCiphertext:
		return kmsAnswer{}, false, keyring.ErrUnwrap
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError:
		return kmsAnswer{}, true, fmt.Errorf("kms: %s: status %d", verb, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return kmsAnswer{}, false, fmt.Errorf("kms: %s: status %d", verb, resp.StatusCode)
	case err != nil:
		return kmsAnswer{}, false, fmt.Errorf("kms: %s: %w", verb, err)
	}
	return out, false, nil
}

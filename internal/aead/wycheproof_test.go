package aead_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/art32/art32/internal/aead"
)

// wycheproof is a file of testdata/wycheproof, see its README.
type wycheproof[T any] struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		TagSize int `json:"tagSize"`
		Tests   []T `json:"tests"`
	} `json:"testGroups"`
}

// octets are bytes in hexadecimal.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

func vectors[T any](t *testing.T, name string, each func(test T, tagSize int)) {
	t.Helper()
	text, err := os.ReadFile("testdata/wycheproof/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file wycheproof[T]
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.TestGroups {
		for _, test := range g.Tests {
			each(test, g.TagSize/8)
			n++
		}
	}
	if n == 0 || n != file.NumberOfTests {
		t.Errorf("%d tests of %d", n, file.NumberOfTests)
	}
}

// TestWycheproofGCM opens through the AEAD that draws its nonces, which takes the
// vector's in front of the ciphertext.
func TestWycheproofGCM(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	vectors(t, "aes_gcm_test.json", func(v struct {
		ID                         int `json:"tcId"`
		Key, IV, AAD, Msg, Ct, Tag octets
		Result                     string
	}, _ int) {
		gcm, err := aead.NewGCM(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := slices.Concat(v.IV, v.Ct, v.Tag)
		got, err := gcm.Open(nil, nil, sealed, v.AAD)
		if valid := v.Result == "valid"; valid != (err == nil) || valid && !bytes.Equal(got, v.Msg) {
			t.Errorf("test %d, %s: %x, %v", v.ID, v.Result, got, err)
		}
		if v.Result != "valid" || fips140.Enforced() {
			return // a nonce of the vector's choice is not allowed
		}
		block, err := aes.NewCipher(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		if got := plain.Seal(slices.Clone([]byte(v.IV)), v.IV, v.Msg, v.AAD); !bytes.Equal(got, sealed) {
			t.Errorf("test %d: sealed to %x", v.ID, got)
		}
	})
}

// TestWycheproofHKDF compares both the standard library's HKDF, which derives the
// keys of blind indexes, and the one composed here, as far as it goes.
func TestWycheproofHKDF(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	vectors(t, "hkdf_sha256_test.json", func(v struct {
		ID                   int `json:"tcId"`
		IKM, Salt, Info, OKM octets
		Size                 int
		Result               string
	}, _ int) {
		prk, err := hkdf.Extract(sha256.New, v.IKM, v.Salt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hkdf.Expand(sha256.New, prk, string(v.Info), v.Size)
		if valid := v.Result == "valid"; valid != (err == nil) || valid && !bytes.Equal(got, v.OKM) {
			t.Errorf("test %d, %s: %x, %v", v.ID, v.Result, got, err)
		}
		if v.Result != "valid" {
			return // longer than HKDF goes, and than we ask for
		}
		ours, err := aead.Expand(prk, string(v.Info))
		if n := min(len(ours), len(v.OKM)); err != nil || n == 0 || !bytes.Equal(ours[:n], v.OKM[:n]) {
			t.Errorf("test %d: composed %x, %v", v.ID, ours, err)
		}
	})
}

// TestWycheproofHMAC compares the composed HMAC, and crypto/hmac beside it.
func TestWycheproofHMAC(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	vectors(t, "hmac_sha256_test.json", func(v struct {
		ID            int `json:"tcId"`
		Key, Msg, Tag octets
		Result        string
	}, tagSize int) {
		m, err := aead.NewMAC(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := m.Append(nil, string(v.Msg), tagSize)
		if err != nil || bytes.Equal(ours, v.Tag) != (v.Result == "valid") {
			t.Errorf("test %d, %s: %x, %v", v.ID, v.Result, ours, err)
		}
		h := hmac.New(sha256.New, v.Key)
		h.Write(v.Msg)
		if !bytes.Equal(ours, h.Sum(nil)[:tagSize]) {
			t.Errorf("test %d: crypto/hmac says otherwise", v.ID)
		}
	})
}

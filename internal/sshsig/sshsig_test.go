package sshsig_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/art32/art32/internal/sshsig"
)

const namespace = "art32-test"

// testKey is the same in each run, so that signatures are too.
func testKey(first byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	seed := bytes.Repeat([]byte{first}, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	return key, key.Public().(ed25519.PublicKey)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// keygen runs ssh-keygen with a text on its standard input.
func keygen(t *testing.T, text []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", args...)
	cmd.Stdin = bytes.NewReader(text)
	return cmd.CombinedOutput()
}

// TestOpenSSHVerifies: what this package signs is what ssh-keygen accepts.
func TestOpenSSHVerifies(t *testing.T) {
	t.Parallel()
	key, public := testKey(1)
	dir, text := t.TempDir(), []byte("a text\n")
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "text.sig")
	must(t, os.WriteFile(allowed, []byte("somebody "+sshsig.FormatSigner(public)+"\n"), 0o600))
	must(t, os.WriteFile(sig, sshsig.Sign(key, namespace, text), 0o600))
	verify := func(text []byte, namespace string) error {
		out, err := keygen(t, text, "-Y", "verify", "-f", allowed, "-I", "somebody", "-n", namespace, "-s", sig)
		t.Logf("%s", out)
		return err
	}
	must(t, verify(text, namespace))
	if verify(append(text, ' '), namespace) == nil || verify(text, "other") == nil {
		t.Error("ssh-keygen accepts what was changed")
	}
}

// TestOpenSSHSigns: what ssh-keygen signs is what this package accepts.
func TestOpenSSHSigns(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), []byte("a text\n")
	file := filepath.Join(dir, "key")
	if out, err := keygen(t, nil, "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sig, err := keygen(t, text, "-Y", "sign", "-q", "-f", file, "-n", namespace)
	must(t, err)
	line, err := os.ReadFile(file + ".pub")
	must(t, err)
	public, err := sshsig.ParseSigner(string(line))
	must(t, err)
	must(t, sshsig.Verify(public, namespace, text, sig))
	named, err := sshsig.SignedWith(sig)
	if err != nil || !named.Equal(public) {
		t.Errorf("SignedWith = %x, %v", named, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	key, public := testKey(1)
	other, stranger := testKey(2)
	text := []byte("a text\n")
	good := sshsig.Sign(key, namespace, text)
	must(t, sshsig.Verify(public, namespace, text, good))
	block, _ := pem.Decode(good)
	remade := func(change func(b []byte) []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: change(bytes.Clone(block.Bytes))})
	}
	replaced := func(old, with string) []byte {
		return remade(func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) })
	}
	for _, c := range []struct {
		name string
		by   ed25519.PublicKey
		ns   string
		text string
		sig  []byte
		want string
	}{
		{"other text", public, namespace, "a text", good, "was changed"},
		{"other purpose", public, "art32-other", "a text\n", good, "another purpose"},
		{"other signer", stranger, namespace, "a text\n", good, "another key"},
		{"signed by another", public, namespace, "a text\n", sshsig.Sign(other, namespace, text), "another key"},
		{"nothing", public, namespace, "a text\n", nil, "no SSH signature"},
		{"something behind", public, namespace, "a text\n", append(bytes.Clone(good), 'x'), "no SSH signature"},
		{"cut", public, namespace, "a text\n", remade(func(b []byte) []byte { return b[:len(b)-1] }), "no SSH signature"},
		{"longer", public, namespace, "a text\n", remade(func(b []byte) []byte { return append(b, 0) }), "no SSH signature"},
		{"empty", public, namespace, "a text\n", remade(func([]byte) []byte { return nil }), "no SSH signature"},
		{"magic", public, namespace, "a text\n", replaced("SSHSIG", "SSHSIH"), "no SSH signature"},
		{"version", public, namespace, "a text\n", replaced("SSHSIG\x00\x00\x00\x01", "SSHSIG\x00\x00\x00\x02"), "another kind"},
		{"digest", public, namespace, "a text\n", replaced("sha512", "sha256"), "another kind"},
		{"kind of key", public, namespace, "a text\n", replaced("ssh-ed25519", "ssh-ed25518"), "another kind"},
		{"length beyond the end", public, namespace, "a text\n", replaced("\x00\x00\x00\x33", "\xff\xff\xff\xff"), "no SSH signature"},
		{"other armor", public, namespace, "a text\n", bytes.ReplaceAll(good, []byte("SSH SIGNATURE"), []byte("CERTIFICATE")), "no SSH signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := sshsig.Verify(c.by, c.ns, []byte(c.text), c.sig)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one with %q", err, c.want)
			}
		})
	}
}

// TestSigner compares the public key's form with that of another reader.
func TestSigner(t *testing.T) {
	t.Parallel()
	_, public := testKey(7)
	line := sshsig.FormatSigner(public)
	theirs, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)) //nolint:dogsled // it answers so
	must(t, err)
	if want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(theirs))); want != line {
		t.Errorf("FormatSigner = %q, want %q", line, want)
	}
	for _, text := range []string{line, line + "\n", "  " + line + " a comment\n"} {
		got, err := sshsig.ParseSigner(text)
		if err != nil || !got.Equal(public) {
			t.Errorf("ParseSigner(%q) = %x, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-ed25519 ?", "ssh-rsa " + strings.Fields(line)[1],
		strings.Fields(line)[1], line + "\n" + line, line[:len(line)-4], line + "AAAA", `command="x" ` + line,
	} {
		if _, err := sshsig.ParseSigner(text); err == nil {
			t.Errorf("ParseSigner(%q) accepts it", text)
		}
	}
}

func FuzzVerify(f *testing.F) {
	key, public := testKey(1)
	text := []byte("a text\n")
	good := sshsig.Sign(key, namespace, text)
	f.Add(good)
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"))
	f.Add(sshsig.Sign(key, "", nil))
	f.Fuzz(func(t *testing.T, armored []byte) {
		if sshsig.Verify(public, namespace, []byte("another text"), armored) == nil {
			t.Error("a signature over another text is accepted")
		}
		if named, err := sshsig.SignedWith(armored); err == nil && len(named) != ed25519.PublicKeySize {
			t.Errorf("a key of %d bytes", len(named))
		}
	})
}

func FuzzParseSigner(f *testing.F) {
	_, public := testKey(1)
	f.Add(sshsig.FormatSigner(public))
	f.Add("ssh-ed25519 AAAA comment")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := sshsig.ParseSigner(text)
		if err != nil {
			return
		}
		again, err := sshsig.ParseSigner(sshsig.FormatSigner(key))
		if err != nil || !again.Equal(key) {
			t.Errorf("%q does not survive: %v", text, err)
		}
	})
}

package backup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/art32/art32/internal/sshsig"
)

// signed is a file of the vault that counts by the signature beside it. The
// signature is written first and removed last, each in all folders: one that has
// no file anywhere says nothing, and a file in one folder alone is what a crash
// left of writing it or of removing it.
type signed struct {
	name, sig string
	judge     func(text []byte) error // that it is the file of this name
}

// write writes a value of the vault's own.
func (s signed) write(v *Vault, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	return s.spread(v, text, sshsig.Sign(v.signer.key, namespaceVault, text))
}

func (s signed) spread(v *Vault, text, sig []byte) error {
	if err := v.writeAll(s.sig, sig); err != nil {
		return err
	}
	return v.writeAll(s.name, text)
}

// read reads it in a folder. Anybody can lay a file there: only one that is
// signed by by counts, and any other is refused. It returns an error around
// [fs.ErrNotExist] where there is none.
func (s signed) read(f *folder, by ed25519.PublicKey) (text, sig []byte, err error) {
	if text, err = f.read(s.name); err != nil {
		return nil, nil, err
	}
	sig, err = f.read(s.sig)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("it has no signature: %w", ErrSignature)
	}
	if err == nil {
		err = verify(by, namespaceVault, text, sig)
	}
	if err == nil {
		err = s.judge(text)
	}
	if err != nil {
		return nil, nil, f.refuse(s.name, err)
	}
	return text, sig, nil
}

// settle reads it in all folders and makes them equal: what one of them has,
// signed, the others get; a signature without its file goes. All are read before
// anything is written or removed. It returns an error around [fs.ErrNotExist]
// where no folder has it. The caller has the lock.
func (s signed) settle(v *Vault) (text []byte, err error) {
	var sig []byte
	whole := true
	for _, f := range v.open {
		t, g, err := s.read(f, v.signer.public)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			whole = false
		case err != nil:
			return nil, err
		case text != nil && !bytes.Equal(t, text):
			return nil, fmt.Errorf("%w: %s differs between the folders", ErrVault, s.name)
		default:
			text, sig = t, g
		}
	}
	switch {
	case whole:
		return text, nil
	case text != nil:
		return text, s.spread(v, text, sig)
	}
	if err := v.removeAll(s.sig); err != nil {
		return nil, err
	}
	return nil, fs.ErrNotExist
}

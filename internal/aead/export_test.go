package aead

// NewGCM makes the cipher of fields and chunks: a nonce, the ciphertext, a tag.
var NewGCM = newGCM

// Expand is HKDF-Expand as keys are derived with, 64 bytes.
func Expand(key []byte, info string) ([]byte, error) {
	s := getScratch()
	defer putScratch(s)
	var k macKey
	if err := s.initMAC(&k, key); err != nil {
		return nil, err
	}
	first, second, err := s.expand(&k, info)
	return append(append([]byte(nil), first...), second...), err
}

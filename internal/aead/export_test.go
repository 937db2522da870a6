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

// LeftOfExpand is what was expanded, and what is left of it where that was done.
func LeftOfExpand(key []byte, info string) (keys, left []byte, err error) {
	s := scratches.New().(*scratch)
	var k macKey
	if err := s.initMAC(&k, key); err != nil {
		return nil, nil, err
	}
	first, second, err := s.expand(&k, info)
	keys = append(append(keys, first...), second...)
	s.clear()
	for _, b := range [][]byte{s.keys[:], s.sum[:], s.pad[:], s.state[:], s.msg[:cap(s.msg)], s.ad[:cap(s.ad)]} {
		left = append(left, b...)
	}
	return keys, left, err
}

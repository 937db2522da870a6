package keyring

// SetPage has a rotation go on in steps of n keys.
func SetPage(r *Ring, n int) { r.page = n }

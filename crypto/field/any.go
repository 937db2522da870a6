package field

// RevealAny is [Encrypted.Reveal] for a repository that does not know T.
func (e *Encrypted[T]) RevealAny() (any, error) { return e.Reveal() }

package sqlitesource

// OnStep lets a test act, or die, at a step of a snapshot.
func (s *Source) OnStep(fn func(name string)) *Source {
	s.step = fn
	return s
}

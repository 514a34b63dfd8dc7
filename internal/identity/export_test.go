package identity

// ForgetTokens empties the cache of good headers.
func (s *Service) ForgetTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.young)
	clear(s.tokens.old)
}

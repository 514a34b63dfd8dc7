package identity

// MaxTokens is the bound of the cache of good headers.
const MaxTokens = maxTokens

// RememberedTokens is the number of good headers in the cache.
func (s *Service) RememberedTokens() int {
	s.tokens.mu.RLock()
	defer s.tokens.mu.RUnlock()
	return len(s.tokens.young) + len(s.tokens.old)
}

// ForgetTokens empties the cache of good headers.
func (s *Service) ForgetTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.young)
	clear(s.tokens.old)
}

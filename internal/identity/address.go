package identity

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// caller makes the caller of a request.
func (s *Service) caller(subject *Subject, r *http.Request, now time.Time) Caller {
	c := &call{subject: subject} // filled in place: this is on every download's way
	f := &c.facts
	f.Time, f.Region, f.Secure = now, s.region, r.TLS != nil
	if agent := r.Header["User-Agent"]; len(agent) > 0 {
		f.UserAgent = agent[0]
	}
	f.SourceIP = peerAddr(r)
	if len(s.proxies) > 0 && contains(s.proxies, f.SourceIP) {
		f.SourceIP = SourceIP(r, s.proxies)
		f.Secure = f.Secure || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	}
	return Caller{c}
}

// SourceIP is the address of the client: the peer of the connection or, when
// that is a trusted proxy, the last address of X-Forwarded-For that is not
// one. What stands further left anybody could have written. The result is not
// valid when the peer has no IP address.
func SourceIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := peerAddr(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !contains(trusted, client) {
			break
		}
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		client = addr
	}
	return client
}

func peerAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap(), true
	}
	a, err := netip.ParseAddrPort(s)
	return a.Addr().Unmap(), err == nil
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

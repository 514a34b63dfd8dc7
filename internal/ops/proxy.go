package ops

import (
	"net/netip"
	"strings"
)

// Trusts tells whether an address is one of the trusted proxies.
func Trusts(trusted []netip.Prefix, a netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded walks X-Forwarded-For from its end, where the nearest proxy writes,
// and stops at the first address that is not a trusted proxy's: what stands
// before it may be the client's own invention.
func forwarded(peer netip.Addr, headers []string, trusted []netip.Prefix) netip.Addr {
	if len(trusted) == 0 || len(headers) == 0 {
		return peer
	}
	client := peer
	chain := strings.Split(strings.Join(headers, ","), ",")
	for i := len(chain) - 1; i >= 0 && Trusts(trusted, client); i-- {
		text := strings.TrimSpace(chain[i])
		addr, err := netip.ParseAddr(text)
		if err != nil {
			withPort, err := netip.ParseAddrPort(text)
			if err != nil {
				return client
			}
			addr = withPort.Addr()
		}
		client = addr.Unmap()
	}
	return client
}

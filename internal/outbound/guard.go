package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// refusedPrefixes are those that no standard predicate covers.
var refusedPrefixes = []struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},            // RFC 1122, 3.2.1.3
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},   // RFC 6598
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"}, // RFC 6890
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},        // RFC 2544
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},              // RFC 1112; broadcast too
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64"},        // RFC 8215
	{netip.MustParsePrefix("2001::/32"), "Teredo"},                  // RFC 4380: hides an IPv4 address
	{netip.MustParsePrefix("fec0::/10"), "site-local"},              // RFC 3879
	{netip.MustParsePrefix("100::/64"), "discard"},                  // RFC 6666
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},         // RFC 9602
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "translated IPv4"},   // RFC 2765
}

// embedding are IPv6 prefixes whose addresses stand for an IPv4 address.
var embedding = []struct {
	prefix netip.Prefix
	at     int // offset of the IPv4 address in bytes
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, RFC 4291, 2.5.5.1
}

// refusal says why an address is not public; empty for a public one.
func refusal(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return "no address"
	case ip.IsUnspecified():
		return "unspecified"
	case ip.IsLoopback():
		return "loopback"
	case ip.IsPrivate():
		return "private"
	case ip.IsLinkLocalUnicast():
		return "link-local"
	case ip.IsMulticast():
		return "multicast"
	}
	for _, r := range refusedPrefixes {
		if r.prefix.Contains(ip) {
			return r.reason
		}
	}
	for _, e := range embedding {
		if e.prefix.Contains(ip) {
			b := ip.As16()
			return refusal(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	return ""
}

// allowList is what may be reached although it is not public.
type allowList struct {
	prefixes []netip.Prefix
	hosts    trust
}

func parseAllow(entries []string) (allowList, error) {
	var a allowList
	a.hosts = trust{}
	for _, entry := range entries {
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			a.prefixes = append(a.prefixes, prefix.Masked())
			continue
		}
		if ip, err := netip.ParseAddr(entry); err == nil {
			a.prefixes = append(a.prefixes, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
			continue
		}
		if entry == "" || strings.ContainsAny(entry, "/ @*") {
			return allowList{}, fmt.Errorf("allowed address %q is neither an IP address, a CIDR prefix, a host name nor host:port", entry)
		}
		a.hosts[strings.ToLower(entry)] = true
	}
	return a, nil
}

// check refuses an address that is neither public nor allowed.
func (a *allowList) check(ip netip.Addr) error {
	reason := refusal(ip)
	if reason == "" {
		return nil
	}
	for _, prefix := range a.prefixes {
		if prefix.Contains(ip.Unmap().WithZone("")) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is %s", ErrForbidden, ip, reason)
}

// control is a net.Dialer's ControlContext: it sees the resolved address of the
// socket that is about to connect.
func (a *allowList) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbidden, address)
	}
	return a.check(where.Addr())
}

// trust is a set of hosts, "host" (any port) or "host:port", in lower case.
type trust map[string]bool

// newTrust trusts the host and port of base, and 80 and 443 as one: a remote
// that sends its clients from http to https stays itself.
func newTrust(base *url.URL, more []string) trust {
	t := trust{}
	for _, host := range more {
		t[strings.ToLower(host)] = true
	}
	t[hostPort(base)] = true
	if p := port(base); p == "80" || p == "443" {
		for _, p := range []string{"80", "443"} {
			t[net.JoinHostPort(strings.ToLower(base.Hostname()), p)] = true
		}
	}
	return t
}

func (t trust) has(u *url.URL) bool {
	return t[hostPort(u)] || t[strings.ToLower(u.Hostname())]
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func hostPort(u *url.URL) string {
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port(u))
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && hostPort(a) == hostPort(b)
}

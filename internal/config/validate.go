package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/seal"
)

var (
	accountPattern    = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	connectionPattern = regexp.MustCompile(`^(public|custom):[A-Za-z0-9._\-]{1,90}$`) // inside ExternalConnectionName
)

// problems lists what is wrong with the values taken together. source says
// where a key was set.
func (c Config) problems(source func(key string) string) []error {
	var found []error
	bad := func(key, text string, args ...any) {
		found = append(found, problem(key, source(key), fmt.Sprintf(text, args...)))
	}
	if c.Data == "" {
		bad("data", "is empty; name a folder")
	}
	for key, addr := range map[string]string{"listen": c.Listen, "metrics-listen": c.MetricsListen, "pprof-listen": c.PprofListen} {
		if _, _, err := net.SplitHostPort(addr); err != nil && (addr != "" || key == "listen") {
			bad(key, "%q is not an address; write HOST:PORT, like 127.0.0.1:8470 or :8470", addr)
		}
	}
	if c.URL != "" {
		if err := checkURL(c.URL); err != nil {
			bad("url", "%v", err)
		} else if u, err := url.Parse(c.URL); err == nil && strings.Trim(u.Path, "/") != "" {
			bad("url", "%q has a path; signed requests name the path that clients use, so give this server a host name of its own", c.URL)
		}
	}
	if !regionPattern.MatchString(c.Region) {
		bad("region", "%q does not look like a region; write it like us-east-1", c.Region)
	}
	if !accountPattern.MatchString(c.Account) {
		bad("account", "%q is not 12 digits", c.Account)
	}
	if c.Database != "sqlite" && !strings.HasPrefix(c.Database, "sqlite:") && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		bad("database", "want sqlite or postgres://USER:PASSWORD@HOST/NAME") // the value may hold a password
	}
	for _, key := range c.MasterKey {
		switch text := string(key); {
		case seal.IsKey(text) && strings.HasPrefix(source("master-key"), "flag "):
			bad("master-key", "everybody on this machine can read a key on the command line; name a file, or set PACKHOUSE_MASTER_KEY")
		case seal.IsKey(text):
			if _, err := seal.ParseKey(text); err != nil {
				bad("master-key", "%v", err)
			}
		}
	}
	if scheme, _, ok := strings.Cut(c.Blobs, "://"); ok && scheme != "file" {
		bad("blobs", "%s:// is not served by this release; give a folder", scheme)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("tls-cert", "tls-cert and tls-key go together; give both or neither")
	}
	for _, entry := range c.AllowOutbound {
		if !outboundEntry(entry) {
			bad("allow-outbound", "%q is neither a network like 10.0.0.0/8 nor a host name", entry)
		}
	}
	if c.MaxSearched < 1 {
		bad("max-searched", "want at least 1")
	}
	if c.AccessRecords < 0 {
		bad("access-records", "want a duration like 2160h, or 0 to keep none")
	}
	if c.AccessRecordsSize == 0 {
		bad("access-records-size", "want a size like 10GiB; access-records 0 keeps none")
	}
	if c.Trash <= 0 {
		bad("trash", "want a duration like 168h, above 0")
	}
	if c.MaxAssetSize == 0 {
		bad("max-asset-size", "0 would refuse every package")
	}
	if c.SMTPRelay != "" {
		if _, _, err := net.SplitHostPort(c.SMTPRelay); err != nil {
			bad("smtp-relay", "%q is not an address; write HOST:PORT, like mail.example.test:587", c.SMTPRelay)
		}
		if _, err := mail.ParseAddress(c.SMTPFrom); err != nil {
			bad("smtp-from", "%q is not an email address; smtp-relay needs one to send from", c.SMTPFrom)
		}
	}
	if c.SMTPPassword != "" && strings.HasPrefix(source("smtp-password"), "flag ") {
		bad("smtp-password", "everybody on this machine can read a password on the command line; put it into the config file or set PACKHOUSE_SMTP_PASSWORD")
	}
	if (c.SMTPUser == "") != (c.SMTPPassword == "") {
		bad("smtp-user", "smtp-user and smtp-password go together; give both or neither")
	}
	for _, conn := range c.Connections {
		if text := conn.wrong(); text != "" {
			bad(connectionKey, "%s: %s", conn.Name, text)
		}
	}
	return found
}

// outboundEntry accepts an address, a network, HOST and HOST:PORT.
func outboundEntry(s string) bool {
	if !strings.ContainsAny(s, "/:") {
		return s != ""
	}
	_, notPrefix := netip.ParsePrefix(s)
	_, notAddr := netip.ParseAddr(s)
	_, _, notHostPort := net.SplitHostPort(s)
	return notPrefix == nil || notAddr == nil || notHostPort == nil
}

func (c Connection) wrong() string {
	switch err := checkURL(c.URL); {
	case !connectionPattern.MatchString(c.Name):
		return "a connection is named public:NAME (well-known) or custom:NAME"
	case c.URL == "":
		return "has no url"
	case err != nil:
		return err.Error()
	case strings.HasPrefix(c.Name, "custom:") && c.Format == "":
		return "a custom connection needs a format; define it in the config file with name, format and url"
	case c.Format != "" && !slices.Contains(artifact.Formats(), c.Format):
		return fmt.Sprintf("no format is called %q", c.Format)
	case c.Token != "" && (c.Username != "" || c.Password != ""):
		return "has a token and a password; keep one"
	}
	return ""
}

// checkURL accepts what can be the base of other addresses.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s is not a URL; write it like http://HOST:PORT/", shown(text))
	case u.User != nil:
		return fmt.Errorf("the URL holds a password; give username and password of their own")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s has a query or fragment; give the address without", shown(text))
	}
	return nil
}

// shown is an address for a message: of one that may hold a password or token,
// nothing.
func shown(address string) string {
	if strings.ContainsAny(address, "@?#") {
		return "the address"
	}
	return strconv.Quote(address)
}

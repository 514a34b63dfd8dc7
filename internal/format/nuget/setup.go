package nuget

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode"

	"packhouse/internal/format"
)

// Setup implements format.Format: a NuGet.Config with the source and its
// credentials, to be merged by key into the one the client reads: NuGet on Mono
// looks in the folder for settings of applications, dotnet in a folder of its
// own. The source has the name "aws codeartifact login" would give it, so the
// one updates what the other wrote.
func (Format) Setup(t format.Target) []format.Snippet {
	settings := config(t)
	return []format.Snippet{
		{Tool: "nuget", File: "~/.config/NuGet/NuGet.Config", Settings: settings},
		{Tool: "dotnet", File: "~/.nuget/NuGet/NuGet.Config", Settings: settings},
	}
}

func config(t format.Target) string {
	name := sourceName(t.Endpoint)
	insecure := ""
	if strings.HasPrefix(t.Endpoint, "http:") {
		insecure = ` allowInsecureConnections="true"` // without it newer clients refuse plain http
	}
	section := elementName(name)
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <packageSources>
    <add key="%s" value="%s" protocolVersion="3"%s />
  </packageSources>
  <packageSourceCredentials>
    <%s>
      <add key="Username" value="aws" />
      <add key="ClearTextPassword" value="%s" />
    </%s>
  </packageSourceCredentials>
</configuration>
`, html.EscapeString(name), html.EscapeString(t.Endpoint+indexPath), insecure, section, html.EscapeString(t.Token), section)
}

// sourceName is DOMAIN/REPOSITORY, read from an endpoint of either style, or
// what the endpoint ends with.
func sourceName(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "packhouse"
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	last := parts[len(parts)-1]
	switch host, _, _ := strings.Cut(u.Hostname(), ".d."); {
	case last == "":
		return "packhouse"
	case len(parts) >= 3 && parts[len(parts)-2] == "nuget":
		return parts[len(parts)-3] + "/" + last
	case len(parts) == 2 && parts[0] == "nuget" && len(host) > 13 && host != u.Hostname():
		return host[:len(host)-13] + "/" + last // DOMAIN-OWNER, the owner has 12 digits
	}
	return last
}

// elementName writes a source's name as the element its credentials stand in:
// what XML does not take in a name becomes _xHHHH_, as the client does it.
func elementName(name string) string {
	var b strings.Builder
	for i, r := range name {
		first := unicode.IsLetter(r) || r == '_' && !strings.HasPrefix(name[i:], "_x")
		if first || i > 0 && (r == '-' || r == '.' || unicode.IsDigit(r)) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "_x%04X_", r)
	}
	return b.String()
}

package npm

import (
	"net/url"
	"strings"

	"packhouse/internal/format"
)

// Setup implements format.Format. Settings of npm, pnpm and yarn classic are
// lines of an .npmrc, those of yarn 2 and newer are YAML; yarn has two
// snippets because either may be what "yarn" runs, and each reads only its own.
func (Format) Setup(t format.Target) []format.Snippet {
	scope := ""
	if t.Scope != "" {
		scope = "@" + strings.TrimPrefix(t.Scope, "@")
	}
	registry, place := "registry", credentialKey(t.Endpoint)
	if scope != "" {
		registry = scope + ":registry"
	}
	npmrc := registry + "=" + t.Endpoint + "\n" + place + ":_authToken=" + t.Token + "\n"
	return []format.Snippet{
		{Tool: "npm", File: "~/.npmrc", Settings: npmrc, Commands: [][]string{
			{"npm", "config", "set", registry, t.Endpoint},
			{"npm", "config", "set", place + ":_authToken", t.Token},
		}},
		{Tool: "pnpm", File: "~/.npmrc", Settings: npmrc},
		// Without always-auth, yarn classic fetches unscoped packages anonymously.
		{Tool: "yarn", File: "~/.npmrc", Settings: npmrc + "always-auth=true\n"},
		{Tool: "yarn", File: "~/.yarnrc.yml", Settings: berry(t, strings.TrimPrefix(scope, "@"))},
	}
}

// credentialKey is the address without its scheme, which names credentials in
// an .npmrc.
func credentialKey(endpoint string) string {
	if _, rest, ok := strings.Cut(endpoint, "://"); ok {
		return "//" + rest
	}
	return endpoint
}

func berry(t format.Target, scope string) string {
	var b strings.Builder
	if u, err := url.Parse(t.Endpoint); err == nil && u.Scheme == "http" {
		b.WriteString("unsafeHttpWhitelist:\n  - \"" + u.Hostname() + "\"\n")
	}
	indent := ""
	if scope != "" {
		b.WriteString("npmScopes:\n  " + scope + ":\n")
		indent = "    "
	}
	b.WriteString(indent + "npmRegistryServer: \"" + t.Endpoint + "\"\n")
	if scope != "" {
		// Without it yarn publishes packages of the scope to the default registry.
		b.WriteString(indent + "npmPublishRegistry: \"" + t.Endpoint + "\"\n")
	}
	b.WriteString(indent + "npmAuthToken: \"" + t.Token + "\"\n")
	b.WriteString(indent + "npmAlwaysAuth: true\n")
	return b.String()
}

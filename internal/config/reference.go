package config

import (
	"fmt"
	"strings"
)

// Reference is the page docs/configuration.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Every key can be a flag of ` + "`packhouse serve` and `packhouse quickstart` (`--listen :8470`), an environment variable (`PACKHOUSE_LISTEN=:8470`) or a line of the YAML file that `--config` or `" + EnvFile + "`" + ` names (` + "`listen: :8470`" + `).
Flags win over the environment, the environment over the file. Lists are written with commas or spaces on one line, flags may be repeated, and the file may have YAML lists.
Sizes are written like ` + "`64MiB` or `5GB`, durations like `30s` or `1h30m`" + `.
Two more variables belong to Go itself and are respected: ` + "`GOMEMLIMIT` and `GOGC`" + `.

This page is printed from ` + "`internal/config`" + ` by its test.

| key | environment | default | meaning |
|---|---|---|---|
`)
	for _, k := range Keys() {
		def := ""
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		value := strings.ReplaceAll(k.Value, "|", `\|`)
		fmt.Fprintf(&b, "| `%s` %s | `%s` | %s | %s |\n", k.Name, value, k.Env, def, strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	b.WriteString(`
## Connections

The well-known connections (` + "`public:npmjs`, `public:pypi`, `public:maven-central`" + ` and so on) need no configuration where the public address is known.
A mirror, or a registry of your own with credentials, is written in the file:

` + "```yaml" + `
connection:
  - public:npmjs=http://mirror.example.test/npm/
  - name: custom:partner
    format: npm
    url: https://packages.partner.test/npm/
    username: reader
    password: change-me        # or token: ..., sent as Bearer
` + "```" + `

What the URL is, per format: npm the registry root; pypi the simple index; maven the repository root; nuget the service index; ruby the gem source; cargo the sparse index root.
A connection given by a flag or the environment keeps the format and credentials the file has for that name and changes its URL.
`)
	return b.String()
}

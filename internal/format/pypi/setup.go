package pypi

import (
	"net/url"
	"strings"

	"packhouse/internal/format"
)

// user is the name that goes with a token (section 5).
const user = "aws"

// Names of the repository in the settings of clients that give names.
const (
	pypircName = "codeartifact"
	poetryName = "codeartifact"
	uvName     = "codeartifact"
)

// Setup implements format.Format. The files are those of the user, so that they
// hold for every project; poetry wants the index itself in pyproject.toml (see
// docs/formats/pypi.md).
func (Format) Setup(t format.Target) []format.Snippet {
	index := withUser(t.Endpoint, t.Token) + "simple/"
	return []format.Snippet{
		{Tool: "pip", File: "~/.config/pip/pip.conf", Settings: "[global]\nindex-url = " + index + "\n"},
		{Tool: "uv", File: "~/.config/uv/uv.toml", Settings: "publish-url = \"" + t.Endpoint + "\"\n\n" +
			"[[index]]\nname = \"" + uvName + "\"\nurl = \"" + index + "\"\ndefault = true\n"},
		{Tool: "twine", File: "~/.pypirc", Settings: "[distutils]\nindex-servers =\n    " + pypircName + "\n\n" +
			"[" + pypircName + "]\nrepository = " + t.Endpoint + "\nusername = " + user + "\npassword = " + t.Token + "\n"},
		// poetry reads its two files as one, and this one is kept from other users.
		{Tool: "poetry", File: "~/.config/pypoetry/auth.toml", Settings: "[repositories." + poetryName + "]\nurl = \"" + t.Endpoint + "\"\n\n" +
			"[http-basic." + poetryName + "]\nusername = \"" + user + "\"\npassword = \"" + t.Token + "\"\n"},
	}
}

// withUser puts credentials into an address.
func withUser(endpoint, token string) string {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if !ok {
		return endpoint
	}
	return scheme + "://" + user + ":" + strings.ReplaceAll(url.QueryEscape(token), "+", "%20") + "@" + rest
}

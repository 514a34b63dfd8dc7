package generic

import "packhouse/internal/format"

// Setup implements format.Format. The token is in a file for curl to read:
// arguments can be seen by other users of the machine.
func (Format) Setup(t format.Target) []format.Snippet {
	const file = "~/.config/packhouse/curl"
	address := t.Endpoint + "NAMESPACE/NAME/VERSION/FILE"
	return []format.Snippet{{
		Tool: "curl", File: file,
		Settings: "# publish: curl --fail-with-body -K " + file + " -T FILE " + address + "\n" +
			"# more to come: the same address with ?unfinished=true\n" +
			"# download: curl --fail -K " + file + " -O " + address + "\n" +
			"header = \"Authorization: Bearer " + t.Token + "\"\n",
	}}
}

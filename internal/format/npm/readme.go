package npm

import (
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// maxReadme is how much of a readme is kept, in bytes.
const maxReadme = 1 << 20

// noReadme is what npm sends in place of a missing readme.
const noReadme = "ERROR: No README data found!"

// Readme implements registry.Ecosystem: the manifest's readme, else the first
// README, best a Markdown one, of the tarball's top folder, whatever that is
// called. At most one mebibyte is given.
func (Format) Readme(manifest []byte, assets []artifact.Asset, open func(name string) (io.ReadCloser, error)) (string, error) {
	if text := stringMember(manifest, "readme"); text != "" && text != noReadme {
		return cut(text), nil
	}
	none := fault.New(fault.NotFound, "the version has no readme")
	if !slices.ContainsFunc(assets, func(a artifact.Asset) bool { return a.Name == assetName }) {
		return "", none
	}
	tarball, err := open(assetName)
	if err != nil {
		return "", err
	}
	defer tarball.Close()
	text, best := "", noRank
	_ = format.WalkTarGz(tarball, func(name string, content io.Reader) (bool, error) {
		rank := rankReadme(name)
		if rank >= best {
			return true, nil
		}
		b, err := io.ReadAll(io.LimitReader(content, maxReadme+1))
		if err != nil {
			return false, err
		}
		text, best = string(b), rank
		return rank > 0, nil
	})
	if best == noRank {
		return "", none // also where the archive cannot be read
	}
	return cut(text), nil
}

const noRank = 4

// rankReadme orders the files a readme may be in, 0 first.
func rankReadme(name string) int {
	folder, file, ok := strings.Cut(path.Clean(name), "/")
	file = strings.ToLower(file)
	switch {
	case !ok || folder == "" || folder == ".." || strings.Contains(file, "/"):
		return noRank
	case file == "readme.md":
		return 0
	case file == "readme.markdown":
		return 1
	case file == "readme" || file == "readme.txt":
		return 2
	case strings.HasPrefix(file, "readme."):
		return 3
	}
	return noRank
}

// isLicense tells whether a file of the top folder is a licence by its name.
func isLicense(name string) bool {
	folder, file, ok := strings.Cut(path.Clean(name), "/")
	file = strings.ToLower(file)
	return ok && folder != "" && folder != ".." && !strings.Contains(file, "/") && (strings.HasPrefix(file, "licen") || strings.HasPrefix(file, "copying"))
}

// isManifest tells whether a client that unpacks a tarball without its top
// folder takes the entry for the package.json.
func isManifest(name string) bool {
	for _, n := range []string{name, path.Clean(name)} {
		if _, file, ok := strings.Cut(n, "/"); ok && strings.EqualFold(file, "package.json") {
			return true
		}
	}
	return false
}

// cut bounds a readme without cutting through a character, and replaces what
// is no text.
func cut(text string) string {
	if len(text) > maxReadme {
		text = text[:maxReadme]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		if len(text) > 0 && text[len(text)-1] >= utf8.RuneSelf {
			text = text[:len(text)-1]
		}
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

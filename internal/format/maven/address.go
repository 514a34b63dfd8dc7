package maven

import (
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// metadataFile is the one file name that means something at every level.
const metadataFile = "maven-metadata.xml"

// address is what a path stands for.
type address struct {
	group string               // of the folder as a group: what plugins are looked up in
	c     artifact.Coordinates // none (Name is empty) where the folder can be a group alone
	// version is empty for the metadata of a package or a group.
	version string
	file    string           // the asset, or metadataFile
	sum     digest.Algorithm // set when it is the checksum of file
}

// finishing leads a path below which versions are published without metadata,
// see put. No group can be called that.
const finishing = "+finish"

// cutFinishing takes that off a path. Some clients escape the plus sign (Ivy).
func cutFinishing(path string) (rest string, finish bool) {
	lead, rest, ok := strings.Cut(path, "/")
	if name, err := format.Segment(lead); ok && err == nil && name == finishing {
		return rest, true
	}
	return path, false
}

var errAddress = fault.New(fault.NotFound, "there is nothing at this address; files are at GROUP/AS/FOLDERS/ARTIFACT/VERSION/FILE")

// parseAddress reads a path below the repository's root. It does not check
// names that only matter to who publishes.
func parseAddress(path string) (a address, err error) {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if parts[i], err = format.Segment(p); err != nil {
			return a, err
		}
	}
	last := len(parts) - 1
	a.file, a.sum = cutChecksum(parts[last])
	if rest, second := cutChecksum(a.file); second != 0 && rest != "" {
		return a, errAddress // nobody keeps checksums of checksums
	}
	parts = parts[:last]
	if a.file != metadataFile {
		if len(parts) < 3 {
			return a, errAddress
		}
		a.version, parts = parts[len(parts)-1], parts[:len(parts)-1]
		a.c, err = coordinates(parts)
		return a, err
	}
	if n := len(parts); n >= 3 && isCurrent(parts[n-1]) {
		a.version = parts[n-1]
		a.c, err = coordinates(parts[:n-1])
		return a, err
	}
	if len(parts) == 0 {
		return a, errAddress
	}
	a.group = strings.Join(parts, ".")
	if len(parts) > 1 {
		a.c, err = coordinates(parts)
	}
	if checkGroup(a.group) != nil || dotted(parts) {
		a.group = ""
	}
	if a.group == "" && a.c.Name == "" && err == nil {
		err = errAddress
	}
	return a, err
}

// coordinates reads the folders of a package, two at least. A dot in the folder
// of a group would be a second address of the same.
func coordinates(folders []string) (artifact.Coordinates, error) {
	last := len(folders) - 1
	if dotted(folders[:last]) {
		return artifact.Coordinates{}, errAddress
	}
	return Format{}.Normalize(artifact.Coordinates{Namespace: strings.Join(folders[:last], "."), Name: folders[last]})
}

func dotted(folders []string) bool { return strings.Contains(strings.Join(folders, "/"), ".") }

// cutChecksum takes the suffix of a checksum off a file name.
func cutChecksum(name string) (file string, sum digest.Algorithm) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return name, 0
	}
	switch name[dot+1:] {
	case "sha1":
		return name[:dot], digest.SHA1
	case "md5":
		return name[:dot], digest.MD5
	case "sha256":
		return name[:dot], digest.SHA256
	case "sha512":
		return name[:dot], digest.SHA512
	}
	return name, 0
}

// folder is the path of a package, with a slash at the end.
func folder(c artifact.Coordinates) string {
	return strings.ReplaceAll(c.Namespace, ".", "/") + "/" + c.Name + "/"
}

// pomName is the name of a version's POM.
func pomName(c artifact.Coordinates, version string) string { return c.Name + "-" + version + ".pom" }

package audit

import (
	"slices"

	"packhouse/internal/artifact"
)

// keyOf hashes what a query asks for; kind keeps the kinds of keys apart.
func keyOf(kind string, parts ...string) int64 {
	h := mix(offset64, kind)
	for _, s := range parts {
		h = mix(h, s)
	}
	return int64(h)
}

// FNV-1a, of 64 bits.
const (
	offset64 = 14695981039346656037
	prime64  = 1099511628211
)

// mix takes a string with its length into a hash.
func mix(h uint64, s string) uint64 {
	h = (h ^ uint64(len(s))) * prime64
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime64
	}
	return h
}

func accountKey(account string) int64      { return keyOf("account", account) }
func principalKey(arn string) int64        { return keyOf("principal", arn) }
func domainKey(owner, domain string) int64 { return keyOf("domain", owner, domain) }

func repositoryKey(owner, domain, repository string) int64 {
	return keyOf("repository", owner, domain, repository)
}

func packageKey(owner, domain string, c artifact.Coordinates) int64 {
	return keyOf("package", owner, domain, string(c.Format), c.Namespace, c.Name)
}

func versionKey(owner, domain string, c artifact.Coordinates, version string) int64 {
	return keyOf("version", owner, domain, string(c.Format), c.Namespace, c.Name, version)
}

func eventKey(owner, domain, event string) int64 { return keyOf("event", owner, domain, event) }

// keys are what a block is found by, each once.
func (o *opened) keys() []int64 { return keysOf(o.whos, o.whats) }

// keysOf are the keys of a block with these rows.
func keysOf(whos, whats [][]byte) []int64 {
	keys := make([]int64, 0, 3*len(whos)+8*len(whats))
	for _, row := range whos {
		if w := readWho(row); w.arn != "" {
			keys = append(keys, principalKey(w.arn), accountKey(w.account))
			if w.roleARN != "" {
				keys = append(keys, principalKey(w.roleARN))
			}
		}
	}
	for _, row := range whats {
		keys = readWhat(row).keys(keys)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (w what) keys(keys []int64) []int64 {
	keys = append(keys, eventKey(w.owner, w.domain, w.event))
	if w.administrator != "" {
		keys = append(keys, accountKey(w.administrator))
	}
	if w.domain == "" {
		return keys
	}
	keys = append(keys, domainKey(w.owner, w.domain), accountKey(w.owner))
	if w.repository != "" {
		keys = append(keys, repositoryKey(w.owner, w.domain, w.repository))
	}
	if w.c.Name == "" {
		return keys
	}
	keys = append(keys, packageKey(w.owner, w.domain, w.c))
	if w.version != "" {
		keys = append(keys, versionKey(w.owner, w.domain, w.c, w.version))
	}
	for _, v := range w.versions {
		keys = append(keys, versionKey(w.owner, w.domain, w.c, v))
	}
	return keys
}

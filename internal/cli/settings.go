package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxSettings bounds the files of clients that are read.
const maxSettings = 16 << 20

// mergeFile puts settings into a client's own file: what is there under the
// same names is replaced, everything else is kept. name is what the client
// calls such a file, which tells how it is written. The file ends up readable
// by its owner alone, for it holds a token. One that cannot be read for what it
// should be is left alone.
func mergeFile(name, path, settings string) error {
	old, err := readSettings(path)
	if err != nil {
		return err
	}
	merged, err := mergeText(name, old, settings)
	if err != nil {
		return err
	}
	return replaceFile(path, []byte(merged), 0o600)
}

// readSettings reads a file that may not be there. What is no file, such as the
// null device, is not written to.
func readSettings(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	if info.Size() > maxSettings {
		return "", fmt.Errorf("it has more than %d bytes, which no settings have", maxSettings)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

const byteOrderMark = "\ufeff"

// mergeText merges by the kind of file. A byte order mark stays where it is.
func mergeText(name, old, settings string) (string, error) {
	text, marked := strings.CutPrefix(old, byteOrderMark)
	if !utf8.ValidString(text) {
		return "", errors.New("it is not UTF-8 text, save it as that first")
	}
	merge := mergeKinds()[kindOf(name)]
	merged, err := merge(text, settings)
	if err != nil {
		return "", err
	}
	if marked {
		merged = byteOrderMark + merged
	}
	return merged, nil
}

// mergeKinds are the ways files are merged, by how they are written.
func mergeKinds() map[string]func(old, settings string) (string, error) {
	return map[string]func(old, settings string) (string, error){
		"yaml":       mergeYAML,
		"toml":       mergeTOML,
		"xml":        orNew(mergeXML),
		"ini":        mergeINI,
		"properties": mergeProperties,
		"whole":      func(_, settings string) (string, error) { return settings, nil },
		"lines":      func(old, settings string) (string, error) { return mergeLines(old, settings), nil },
	}
}

// orNew is for files that may not be empty.
func orNew(merge func(old, settings string) (string, error)) func(old, settings string) (string, error) {
	return func(old, settings string) (string, error) {
		if strings.TrimSpace(old) == "" {
			return settings, nil
		}
		return merge(old, settings)
	}
}

// kindOf tells from a file's name how it is written. Scripts are a tool's own
// file, of which nobody keeps anything else.
func kindOf(name string) string {
	base := strings.ToLower(filepath.Base(filepath.ToSlash(name)))
	switch filepath.Ext(base) {
	case ".yml", ".yaml":
		return "yaml"
	case ".toml":
		return "toml"
	case ".xml", ".config":
		return "xml"
	case ".conf", ".ini", ".cfg", ".pypirc":
		return "ini"
	case ".properties":
		return "properties"
	case ".gradle", ".kts":
		return "whole"
	}
	return "lines"
}

// lineEnd is how the lines of a text end.
func lineEnd(text string) string {
	if i := strings.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// ended is a line with its end.
func ended(line, eol string) string {
	if strings.HasSuffix(line, "\n") {
		return line
	}
	return line + eol
}

// numbered gives lines with their ends, counted from 1.
func numbered(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			if !yield(n, line) {
				return
			}
		}
	}
}

// replaceFile puts content in the place of a file, durably, and whole or not at
// all. Its folder is made when it is not there.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link into a folder of dot files stays one
	} else if target, err := os.Readlink(path); err == nil { // to what is not there yet
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".packhouse-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// mergeLines is for files of key=value lines, like .npmrc.
func mergeLines(old, settings string) string {
	return mergeEntries(old, settings, func(text string) (entries []lineEntry) {
		for line := range strings.Lines(text) {
			entries = append(entries, lineEntry{lineKey(strings.TrimSpace(line)), line})
		}
		return entries
	})
}

// lineEntry is a line, or several that belong together, with the key it sets;
// empty for none.
type lineEntry struct{ key, text string }

// mergeEntries replaces in place, and adds at the end. Of a key that is there
// twice the last one counts to its readers, so all are replaced.
func mergeEntries(old, settings string, split func(string) []lineEntry) string {
	eol := lineEnd(old)
	add := map[string]string{}
	var order []string
	for _, e := range split(settings) {
		if e.key != "" {
			add[e.key] = strings.TrimSpace(e.text) + eol
			order = append(order, e.key)
		}
	}
	var b strings.Builder
	done := map[string]bool{}
	for _, e := range split(old) {
		replacement, ours := add[e.key]
		switch {
		case !ours || e.key == "":
			b.WriteString(ended(e.text, eol))
		case !done[e.key]:
			b.WriteString(replacement)
			done[e.key] = true
		}
	}
	for _, key := range order {
		if !done[key] {
			b.WriteString(add[key])
			done[key] = true
		}
	}
	return b.String()
}

func lineKey(line string) string {
	if line == "" || line[0] == '#' || line[0] == ';' {
		return ""
	}
	key, _, _ := strings.Cut(line, "=")
	return strings.Trim(strings.TrimSpace(key), `"`)
}

// mergeProperties is for the properties files of Java: keys end at = or : or
// white space, lines go on after a backslash, # and ! begin comments.
func mergeProperties(old, settings string) (string, error) {
	return mergeEntries(old, settings, func(text string) (entries []lineEntry) {
		whole := ""
		flush := func() {
			if whole != "" {
				entries = append(entries, lineEntry{propertyKey(whole), whole})
				whole = ""
			}
		}
		for line := range strings.Lines(text) {
			first := whole == ""
			whole += line
			content := strings.TrimRight(line, "\r\n")
			comment := first && strings.IndexAny(strings.TrimLeft(content, " \t\f"), "#!") == 0
			slashes := len(content) - len(strings.TrimRight(content, `\`))
			if comment || slashes%2 == 0 {
				flush()
			}
		}
		flush()
		return entries
	}), nil
}

// propertyKey is the key of a line, its escapes resolved.
func propertyKey(line string) string {
	line = strings.TrimLeft(line, " \t\f\r\n")
	if line == "" || line[0] == '#' || line[0] == '!' {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			if line[i] == '\n' || line[i] == '\r' { // the key goes on in the next line
				i += len(line[i:]) - len(strings.TrimLeft(line[i:], " \t\f\r\n")) - 1
				continue
			}
			b.WriteByte(line[i])
		case strings.IndexByte("=: \t\f\r\n", c) >= 0:
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mergeYAML merges mappings by key, deeply, and adds to lists what they lack.
// Comments and order stay.
func mergeYAML(old, settings string) (string, error) {
	var have, want yaml.Node
	if err := yaml.Unmarshal([]byte(old), &have); err != nil {
		return "", fmt.Errorf("it is not valid YAML, mend or move it first: %w", err)
	}
	if err := yaml.Unmarshal([]byte(settings), &want); err != nil {
		return "", err
	}
	if len(want.Content) == 0 {
		return old, nil
	}
	if len(have.Content) == 0 {
		have = want
	} else {
		mergeNode(have.Content[0], want.Content[0])
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&have); err != nil {
		return "", err
	}
	// A value that was replaced may be one that others refer to.
	if err := yaml.Unmarshal(b.Bytes(), &yaml.Node{}); err != nil {
		return "", fmt.Errorf("it uses an anchor (&) of a setting that has to change, write that out first: %w", err)
	}
	return b.String(), nil
}

func mergeNode(have, want *yaml.Node) {
	switch {
	case have.Kind == yaml.MappingNode && want.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(want.Content); i += 2 {
			mergeMember(have, want.Content[i], want.Content[i+1])
		}
	case have.Kind == yaml.SequenceNode && want.Kind == yaml.SequenceNode:
		for _, item := range want.Content {
			if !holds(have, item) {
				have.Content = append(have.Content, item)
			}
		}
	default:
		comment := have.HeadComment
		*have = *want
		have.HeadComment = comment
	}
}

func mergeMember(have, key, value *yaml.Node) {
	for i := 0; i+1 < len(have.Content); i += 2 {
		if have.Content[i].Value == key.Value {
			mergeNode(have.Content[i+1], value)
			return
		}
	}
	have.Content = append(have.Content, key, value)
}

func holds(list, item *yaml.Node) bool {
	for _, n := range list.Content {
		if n.Kind == yaml.ScalarNode && item.Kind == yaml.ScalarNode && n.Value == item.Value {
			return true
		}
	}
	return false
}

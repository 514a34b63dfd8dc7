package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mergeFile puts settings into a client's own file: what is there under the
// same names is replaced, everything else is kept. The file ends up readable by
// its owner alone, for it holds a token.
func mergeFile(path, settings string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var merged []byte
	switch filepath.Ext(path) {
	case ".yml", ".yaml":
		if merged, err = mergeYAML(old, []byte(settings)); err != nil {
			return err
		}
	default:
		merged = mergeLines(old, settings)
	}
	return replaceFile(path, merged, 0o600)
}

// replaceFile puts content in the place of a file, durably, and whole or not at
// all. Its folder is made when it is not there.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link into a folder of dot files stays one
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

// mergeLines is for files of key=value lines, like .npmrc. Of a key that is
// there twice the last one counts to its readers, so all are replaced.
func mergeLines(old []byte, settings string) []byte {
	add := map[string]string{}
	var order []string
	for line := range strings.Lines(settings) {
		line = strings.TrimSpace(line)
		if key := lineKey(line); key != "" {
			add[key] = line
			order = append(order, key)
		}
	}
	var b bytes.Buffer
	done := map[string]bool{}
	for line := range strings.Lines(string(old)) {
		key := lineKey(strings.TrimSpace(line))
		replacement, ours := add[key]
		switch {
		case !ours || key == "":
			b.WriteString(line)
			if !strings.HasSuffix(line, "\n") {
				b.WriteByte('\n')
			}
		case !done[key]:
			b.WriteString(replacement + "\n")
			done[key] = true
		}
	}
	for _, key := range order {
		if !done[key] {
			b.WriteString(add[key] + "\n")
			done[key] = true
		}
	}
	return b.Bytes()
}

func lineKey(line string) string {
	if line == "" || line[0] == '#' || line[0] == ';' {
		return ""
	}
	key, _, _ := strings.Cut(line, "=")
	return strings.Trim(strings.TrimSpace(key), `"`)
}

// mergeYAML merges mappings by key, deeply, and adds to lists what they lack.
// Comments and order stay.
func mergeYAML(old, settings []byte) ([]byte, error) {
	var have, want yaml.Node
	if err := yaml.Unmarshal(old, &have); err != nil {
		return nil, fmt.Errorf("it is not valid YAML, mend or move it first: %w", err)
	}
	if err := yaml.Unmarshal(settings, &want); err != nil {
		return nil, err
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
		return nil, err
	}
	// A value that was replaced may be one that others refer to.
	if err := yaml.Unmarshal(b.Bytes(), &yaml.Node{}); err != nil {
		return nil, fmt.Errorf("it uses an anchor (&) of a setting that has to change, write that out first: %w", err)
	}
	return b.Bytes(), nil
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

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// The names of what a profile of an AWS credentials file holds.
const (
	profileKeyID  = "aws_access_key_id"
	profileSecret = "aws_secret_access_key" //nolint:gosec // the name of a setting
	profileToken  = "aws_session_token"
	profileRegion = "region"
)

const defaultProfile = "default"

var profilePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@/+-]{0,127}$`)

// profiles is an AWS credentials file that is edited by the line: what is not
// changed stays as it is, comments included. The zero value is an empty file.
type profiles struct {
	path  string
	lines []string // with their ends
}

// credentialsPath is the file the AWS CLI keeps credentials in.
func credentialsPath(env *Env) string {
	if path := env.getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		return path
	}
	return filepath.Join(env.Home, ".aws", "credentials")
}

// readProfiles reads a credentials file; one that is not there is empty.
func readProfiles(path string) (*profiles, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseProfiles(path, string(text)), nil
}

func parseProfiles(path, text string) *profiles {
	return &profiles{path: path, lines: slices.Collect(strings.Lines(text))}
}

func (p *profiles) text() string { return strings.Join(p.lines, "") }

// write replaces the file by what p has become.
func (p *profiles) write() error { return replaceFile(p.path, []byte(p.text()), 0o600) }

// heading is the name of the section that a line begins.
func heading(line string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "[")
	if !ok {
		return "", false
	}
	name, _, ok = strings.Cut(rest, "]")
	return strings.TrimSpace(name), ok
}

// find gives the lines of a profile: its heading is lines[begin], and it ends
// before lines[end]. begin is -1 when there is no such profile; one that is
// there twice is an error, for readers differ in which one they take.
func (p *profiles) find(name string) (begin, end int, err error) {
	begin, end = -1, len(p.lines)
	for i, line := range p.lines {
		found, ok := heading(line)
		switch {
		case !ok:
		case found == name && begin >= 0:
			return 0, 0, fmt.Errorf("%s has the profile %s twice; make them one first", p.path, name)
		case found == name:
			begin = i
		case begin >= 0 && end == len(p.lines):
			end = i
		}
	}
	return begin, end, nil
}

// entry takes a line "key = value # comment" apart. text[from:to] is the value.
func entry(line string) (key string, from, to int) {
	if line == "" || strings.ContainsRune(" \t#;[\r\n", rune(line[0])) {
		return "", 0, 0 // a comment, or the line before goes on
	}
	before, after, ok := strings.Cut(line, "=")
	if !ok {
		return "", 0, 0
	}
	from = len(before) + 1 + len(after) - len(strings.TrimLeft(after, " \t"))
	to = from
	for to < len(line) && !strings.ContainsRune(" \t\r\n", rune(line[to])) {
		to++
	}
	return strings.ToLower(strings.TrimSpace(before)), from, to
}

// get gives a value of a profile, "" when it has none.
func (p *profiles) get(profile, key string) (value string, err error) {
	begin, end, err := p.find(profile)
	if err != nil || begin < 0 {
		return "", err
	}
	for _, line := range p.lines[begin+1 : end] {
		if k, from, to := entry(line); k == key {
			value = line[from:to] // of several the last counts
		}
	}
	return value, nil
}

// has tells whether there is a profile of that name.
func (p *profiles) has(profile string) (bool, error) {
	begin, _, err := p.find(profile)
	return begin >= 0, err
}

// set gives a profile values, in the order of pairs: key, value, key, value. A
// profile that is not there is added at the end.
func (p *profiles) set(profile string, pairs ...string) error {
	begin, _, err := p.find(profile)
	if err != nil {
		return err
	}
	if begin < 0 {
		p.add(profile)
	}
	for i := len(pairs) - 2; i >= 0; i -= 2 { // from the last, for new ones go right below the heading
		if err := p.put(profile, pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *profiles) add(profile string) {
	if last := len(p.lines) - 1; last >= 0 {
		if !strings.HasSuffix(p.lines[last], "\n") {
			p.lines[last] += p.newline()
		}
		p.lines = append(p.lines, p.newline())
	}
	p.lines = append(p.lines, "["+profile+"]"+p.newline())
}

// newline is how the file ends its lines.
func (p *profiles) newline() string {
	if len(p.lines) > 0 && strings.HasSuffix(p.lines[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func (p *profiles) put(profile, key, value string) error {
	begin, end, err := p.find(profile)
	if err != nil {
		return err
	}
	found := false
	for i := begin + 1; i < end; i++ {
		line := p.lines[i]
		if k, from, to := entry(line); k == key {
			gap := ""
			if from == to && !strings.HasSuffix(line[:from], " ") {
				gap = " "
			}
			p.lines[i], found = line[:from]+gap+value+line[to:], true
		}
	}
	if !found {
		p.insert(begin, key+" = "+value)
	}
	return nil
}

// insert adds a line after lines[i].
func (p *profiles) insert(i int, line string) {
	if !strings.HasSuffix(p.lines[i], "\n") {
		p.lines[i] += p.newline()
	}
	p.lines = slices.Insert(p.lines, i+1, line+p.newline())
}

// marked is the comment that says which key a profile's key replaces, until
// that one is gone: a rotation that was broken off is ended from it.
var marked = regexp.MustCompile(`^# replaces access key (\w+) \(packhouse access-key rotate\)\s*$`)

// replaces gives the key that the profile's key is about to replace.
func (p *profiles) replaces(profile string) (keyID string, err error) {
	begin, end, err := p.find(profile)
	if err != nil || begin < 0 {
		return "", err
	}
	for _, line := range p.lines[begin+1 : end] {
		if m := marked.FindStringSubmatch(line); m != nil {
			keyID = m[1]
		}
	}
	return keyID, nil
}

// mark notes which key the profile's key replaces; "" removes the note.
func (p *profiles) mark(profile, keyID string) error {
	begin, end, err := p.find(profile)
	if err != nil || begin < 0 {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(p.lines[begin+1:end]), marked.MatchString)
	p.lines = slices.Concat(p.lines[:begin+1], kept, p.lines[end:])
	if keyID != "" {
		p.insert(begin, "# replaces access key "+keyID+" (packhouse access-key rotate)")
	}
	return nil
}

// profileKey reads the key of a profile as AWS clients read it.
func profileKey(ctx context.Context, path, profile string) (aws.Credentials, error) {
	found, err := readShared(func() (awsconfig.SharedConfig, error) {
		return awsconfig.LoadSharedConfigProfile(ctx, profile, func(o *awsconfig.LoadSharedConfigOptions) {
			o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{}
		})
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("read profile %s of %s: %w", profile, path, err)
	}
	return found.Credentials, nil
}

// loadConfig is the SDK's LoadDefaultConfig.
func loadConfig(ctx context.Context, options ...loadOption) (aws.Config, error) {
	return readShared(func() (aws.Config, error) { return awsconfig.LoadDefaultConfig(ctx, options...) })
}

// readShared calls a function of the SDK that reads the files of profiles. The
// SDK panics on a value that is one quotation mark and nothing else; whoever
// has such a file is to be told so.
func readShared[T any](read func() (T, error)) (found T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the profiles cannot be read (%v): look for a value that is a lone quotation mark, and take it out", p)
		}
	}()
	return read()
}

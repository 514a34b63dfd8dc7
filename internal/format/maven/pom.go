package maven

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// pom is what is kept of a POM (section 11.9): what it says itself, without its
// parents.
type pom struct {
	Packaging    string       `json:"packaging,omitempty"`
	Name         string       `json:"name,omitempty"`
	Description  string       `json:"description,omitempty"`
	URL          string       `json:"url,omitempty"`
	SCM          string       `json:"scm,omitempty"`
	Licenses     []license    `json:"licenses,omitempty"`
	Dependencies []dependency `json:"dependencies,omitempty"`
}

type license struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

type dependency struct {
	Group    string `json:"group,omitempty"`
	Artifact string `json:"artifact,omitempty"`
	Version  string `json:"version,omitempty"`
	Type     string `json:"type"` // compile, runtime, test, system, provided, optional, parent
}

// The bounds of what is kept of one POM.
const (
	maxDependencies = 5000
	maxLicenses     = 50
	maxText         = 4000 // characters of a description
	maxValue        = 1000 // characters of anything else
)

// document is a POM as it is written.
type document struct {
	GroupID     string `xml:"groupId"`
	ArtifactID  string `xml:"artifactId"`
	Version     string `xml:"version"`
	Packaging   string `xml:"packaging"`
	Name        string `xml:"name"`
	Description string `xml:"description"`
	URL         string `xml:"url"`
	SCM         string `xml:"scm>url"`
	Parent      *struct {
		GroupID    string `xml:"groupId"`
		ArtifactID string `xml:"artifactId"`
		Version    string `xml:"version"`
	} `xml:"parent"`
	Licenses []struct {
		Name string `xml:"name"`
		URL  string `xml:"url"`
	} `xml:"licenses>license"`
	Properties struct {
		All []property `xml:",any"`
	} `xml:"properties"`
	Dependencies []struct {
		GroupID    string `xml:"groupId"`
		ArtifactID string `xml:"artifactId"`
		Version    string `xml:"version"`
		Scope      string `xml:"scope"`
		Optional   string `xml:"optional"`
	} `xml:"dependencies>dependency"`
}

// property is an element whose name nobody here knows.
type property struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// readPOM reads a POM; errNotXML when it is none.
func readPOM(content []byte) (*pom, error) {
	var d document
	if err := readXML(content, "project", &d); err != nil {
		return nil, err
	}
	fill := d.properties(content)
	value := func(s string) string { return clip(interpolate(strings.TrimSpace(s), fill), maxValue) }
	p := &pom{
		Packaging: value(d.Packaging), Name: value(d.Name), URL: value(d.URL), SCM: value(d.SCM),
		Description: clip(strings.Join(strings.Fields(d.Description), " "), maxText),
	}
	for _, l := range d.Licenses[:min(len(d.Licenses), maxLicenses)] {
		p.Licenses = append(p.Licenses, license{value(l.Name), value(l.URL)})
	}
	if d.Parent != nil {
		p.Dependencies = append(p.Dependencies, dependency{value(d.Parent.GroupID), value(d.Parent.ArtifactID), value(d.Parent.Version), "parent"})
	}
	for _, one := range d.Dependencies[:min(len(d.Dependencies), maxDependencies)] {
		kind := value(one.Scope)
		switch {
		case value(one.Optional) == "true":
			kind = "optional"
		case kind == "":
			kind = "compile"
		}
		p.Dependencies = append(p.Dependencies, dependency{value(one.GroupID), value(one.ArtifactID), value(one.Version), kind})
	}
	return p, nil
}

// properties gives what ${...} may stand for within this POM alone.
func (d *document) properties(content []byte) map[string]string {
	all := map[string]string{}
	if bytes.Contains(content, []byte("${")) {
		for _, p := range d.Properties.All {
			all[p.XMLName.Local] = strings.TrimSpace(p.Value)
		}
	}
	group, version := d.GroupID, d.Version
	if d.Parent != nil {
		if group == "" {
			group = d.Parent.GroupID
		}
		if version == "" {
			version = d.Parent.Version
		}
		all["project.parent.groupId"], all["project.parent.version"] = d.Parent.GroupID, d.Parent.Version
	}
	for _, prefix := range []string{"project.", "pom."} {
		all[prefix+"groupId"], all[prefix+"artifactId"], all[prefix+"version"] = strings.TrimSpace(group), strings.TrimSpace(d.ArtifactID), strings.TrimSpace(version)
	}
	return all
}

// interpolate replaces ${name} by values that may hold further ones: a few
// rounds, and never into more than maxValue, so that values of values cannot
// grow without end. What is not known stays as it is.
func interpolate(s string, values map[string]string) string {
	const rounds = 4
	for range rounds {
		if !strings.Contains(s, "${") {
			return s
		}
		var b strings.Builder
		rest, changed := s, false
		for {
			before, after, ok := strings.Cut(rest, "${")
			b.WriteString(before)
			if !ok {
				break
			}
			name, tail, closed := strings.Cut(after, "}")
			value, known := values[name]
			if !closed || !known {
				b.WriteString("${")
				rest = after
				continue
			}
			b.WriteString(value)
			rest, changed = tail, true
			if b.Len() > maxValue {
				return s
			}
		}
		if !changed {
			return s
		}
		s = b.String()
	}
	return s
}

// clip shortens a text to n characters at most.
func clip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

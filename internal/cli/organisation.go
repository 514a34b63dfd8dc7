package cli

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// organisationFile describes the model organisation.
//
//go:embed organisation.yaml
var organisationFile []byte

// organisation is a domain as a file declares it.
type organisation struct {
	Domain       string         `yaml:"domain"`
	Retention    retention      `yaml:"retention"`
	Repositories []declaredRepo `yaml:"repositories"`
}

type declaredRepo struct {
	Name               string    `yaml:"name"`
	Description        string    `yaml:"description"`
	Upstreams          []string  `yaml:"upstreams"`
	ExternalConnection string    `yaml:"externalConnection"`
	Retention          retention `yaml:"retention"`
}

// retention is read so that a wrong file is told apart from a future one; this
// release does not act on it.
type retention struct {
	KeepVersions int `yaml:"keepVersions"`
	KeepDays     int `yaml:"keepDays"`
}

func parseOrganisation(data []byte) (organisation, error) {
	var o organisation
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&o); err != nil {
		return o, fmt.Errorf("organisation file: %w", err)
	}
	if o.Domain == "" {
		return o, errors.New("organisation file: domain is missing")
	}
	known := map[string]bool{}
	for _, r := range o.Repositories {
		for _, u := range r.Upstreams {
			if !known[u] {
				return o, fmt.Errorf("organisation file: upstream %s of %s must be declared before it", u, r.Name)
			}
		}
		known[r.Name] = true
	}
	return o, nil
}

// declares tells whether the file asks for what this release does not do.
func (o organisation) declaresRetention() bool {
	return o.Retention != retention{} || slices.ContainsFunc(o.Repositories, func(r declaredRepo) bool { return r.Retention != retention{} })
}

// apply makes what is missing, through the API, and tells how many domains and
// repositories it made.
func (o organisation) apply(ctx context.Context, api *apiClient) (made int, err error) {
	switch _, err := api.named(ctx, "CreateDomain", input{"Domain": o.Domain}); {
	case err == nil:
		made++
	case !isCode(err, "ConflictException"):
		return made, err
	}
	for _, r := range o.Repositories {
		n, err := r.apply(ctx, api, o.Domain)
		if err != nil {
			return made, fmt.Errorf("repository %s: %w", r.Name, err)
		}
		made += n
	}
	return made, nil
}

func (r declaredRepo) apply(ctx context.Context, api *apiClient, domain string) (made int, err error) {
	in := input{"Domain": domain, "Repository": r.Name}
	create := input{"Domain": domain, "Repository": r.Name, "Description": r.Description}
	if len(r.Upstreams) > 0 {
		upstreams := []any{}
		for _, name := range r.Upstreams {
			upstreams = append(upstreams, map[string]any{"repositoryName": name})
		}
		create["Upstreams"] = upstreams
	}
	switch _, err := api.named(ctx, "CreateRepository", create); {
	case err == nil:
		made = 1
	case !isCode(err, "ConflictException"):
		return 0, err
	}
	if r.ExternalConnection == "" {
		return made, nil
	}
	if made == 0 { // a start that was cut off may have left it without
		answer, err := api.named(ctx, "DescribeRepository", in)
		if err != nil {
			return 0, err
		}
		if repository, ok := answer.values["repository"].(*object); ok {
			if list, _ := repository.values["externalConnections"].([]any); len(list) > 0 {
				return 0, nil
			}
		}
	}
	in["ExternalConnection"] = r.ExternalConnection
	_, err = api.named(ctx, "AssociateExternalConnection", in)
	return made, err
}

func isCode(err error, code string) bool {
	var call *callError
	return errors.As(err, &call) && call.Code == code
}

package policy

import (
	"embed"
	"slices"
	"sync"

	"packhouse/internal/arn"
)

//go:embed managed/*.json
var managedFiles embed.FS

// ManagedPolicy is a policy that exists in every account and cannot change.
type ManagedPolicy struct {
	Name     string
	ARN      string
	Text     string
	Document *Document // named after the ARN
}

// The managed policies by name.
const (
	AdministratorAccess           = "AdministratorAccess"
	AWSCodeArtifactAdminAccess    = "AWSCodeArtifactAdminAccess"
	AWSCodeArtifactReadOnlyAccess = "AWSCodeArtifactReadOnlyAccess"
)

var managed = sync.OnceValue(func() []ManagedPolicy {
	names := [...]string{AWSCodeArtifactAdminAccess, AWSCodeArtifactReadOnlyAccess, AdministratorAccess}
	out := make([]ManagedPolicy, 0, len(names))
	for _, name := range names {
		text, err := managedFiles.ReadFile("managed/" + name + ".json")
		if err != nil {
			panic("policy: " + err.Error()) // the file is part of the binary
		}
		d, err := Parse(text)
		if err != nil {
			panic("policy: " + name + ": " + err.Error())
		}
		out = append(out, ManagedPolicy{
			Name: name, ARN: arn.Policy("aws", "", name).String(), Text: string(text), Document: d.Named("policy " + arn.Policy("aws", "", name).String()),
		})
	}
	return out
})

// Managed lists the managed policies, sorted by name.
func Managed() []ManagedPolicy { return slices.Clone(managed()) }

// ManagedByARN finds a managed policy; nil when there is none of that ARN.
func ManagedByARN(policyARN string) *ManagedPolicy {
	list := managed()
	for i := range list {
		if list[i].ARN == policyARN {
			m := list[i]
			return &m
		}
	}
	return nil
}

// Package arn reads, writes and matches Amazon resource names, the names that
// policies, events and tags use for domains, repositories, packages, users and
// roles.
//
// An ARN is text of six parts divided by colons, of which the last may hold
// colons itself. The constructors make the names of specification section 2.2;
// they trust their arguments, which the caller has normalised and validated.
//
// The surprise: a package-group ARN carries its pattern percent-encoded, so
// that the "*" of a group pattern is never a wildcard of a policy.
package arn

import (
	"strings"

	"packhouse/internal/fault"
)

// Partition is the only partition this server issues names in.
const Partition = "aws"

// maxLength is the longest ARN the API accepts, in bytes (specification 2.1).
const maxLength = 1011

// ARN is one parsed name. Region and Account may be empty (IAM has no region,
// managed policies have the account "aws").
type ARN struct {
	Partition string
	Service   string
	Region    string
	Account   string
	Resource  string
}

// Parse reads an ARN. Errors are fault.Invalid.
func Parse(s string) (ARN, error) {
	if len(s) > maxLength {
		return ARN{}, fault.New(fault.Invalid, "arn is longer than %d bytes", maxLength)
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ARN{}, fault.New(fault.Invalid, "%q is not an arn: want arn:partition:service:region:account:resource", s)
	}
	a := ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}
	if a.Partition == "" || a.Service == "" || a.Resource == "" {
		return ARN{}, fault.New(fault.Invalid, "%q is not an arn: partition, service and resource must not be empty", s)
	}
	if strings.ContainsAny(s, " \t\r\n\v\f") {
		return ARN{}, fault.New(fault.Invalid, "%q is not an arn: it holds white space", s)
	}
	return a, nil
}

// String is the text of the name.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// IsZero tells whether a names nothing.
func (a ARN) IsZero() bool { return a == ARN{} }

// Kind is the resource type: the text before the first slash of the resource
// ("repository", "user", "assumed-role"), or the whole of it ("root").
func (a ARN) Kind() string {
	kind, _, _ := strings.Cut(a.Resource, "/")
	return kind
}

// Name is the text behind the last slash of the resource: the name of a user,
// role or group without its path, or the session name of an assumed role.
func (a ARN) Name() string { return a.Resource[strings.LastIndexByte(a.Resource, '/')+1:] }

// Domain names a domain; account is its owner.
func Domain(region, account, domain string) ARN {
	return codeartifact(region, account, "domain/"+domain)
}

// Repository names a repository; account is the domain's owner.
func Repository(region, account, domain, repository string) ARN {
	return codeartifact(region, account, "repository/"+domain+"/"+repository)
}

// Package names a package by its normalised name; an empty namespace leaves
// two slashes in a row.
func Package(region, account, domain, repository, format, namespace, name string) ARN {
	return codeartifact(region, account,
		"package/"+domain+"/"+repository+"/"+format+"/"+namespace+"/"+name)
}

// PackageGroup names a package group by its pattern, which starts with a slash.
func PackageGroup(region, account, domain, pattern string) ARN {
	return codeartifact(region, account, "package-group/"+domain+EncodeGroupPattern(pattern))
}

// Root names the root user of an account; in a policy, the account.
func Root(account string) ARN { return iam(account, "root") }

// User names an IAM user. The path is "/" when empty; else it starts and ends
// with a slash.
func User(account, path, name string) ARN { return iam(account, "user"+orSlash(path)+name) }

// Role names an IAM role; path as for User.
func Role(account, path, name string) ARN { return iam(account, "role"+orSlash(path)+name) }

// Group names an IAM group; path as for User.
func Group(account, path, name string) ARN { return iam(account, "group"+orSlash(path)+name) }

// Policy names a customer managed policy; path as for User.
func Policy(account, path, name string) ARN { return iam(account, "policy"+orSlash(path)+name) }

// AssumedRole names one session of a role. The path of the role is not part of
// it, as in AWS.
func AssumedRole(account, role, session string) ARN {
	return ARN{Partition: Partition, Service: "sts", Account: account, Resource: "assumed-role/" + role + "/" + session}
}

// FederatedUser names a federated user's session.
func FederatedUser(account, name string) ARN {
	return ARN{Partition: Partition, Service: "sts", Account: account, Resource: "federated-user/" + name}
}

// Target is what a CodeArtifact ARN points at. Kind says which of the other
// fields are set.
type Target struct {
	Kind       string // domain, repository, package or package-group
	Domain     string
	Repository string
	Format     string
	Namespace  string
	Name       string
	Pattern    string // package-group: decoded, with its leading slash
}

// Target takes a CodeArtifact ARN apart. Errors are fault.Invalid.
func (a ARN) Target() (Target, error) {
	bad := func() (Target, error) {
		return Target{}, fault.New(fault.Invalid, "%q does not name a codeartifact resource", a.String())
	}
	if a.Service != "codeartifact" {
		return bad()
	}
	kind, rest, _ := strings.Cut(a.Resource, "/")
	t := Target{Kind: kind}
	ok := false
	switch kind {
	case "domain":
		t.Domain, ok = rest, !strings.Contains(rest, "/")
	case "repository":
		t.Domain, t.Repository, ok = strings.Cut(rest, "/")
		ok = ok && t.Repository != "" && !strings.Contains(t.Repository, "/")
	case "package":
		if p := strings.Split(rest, "/"); len(p) == 5 {
			t.Domain, t.Repository, t.Format, t.Namespace, t.Name = p[0], p[1], p[2], p[3], p[4]
			ok = t.Repository != "" && t.Format != "" && t.Name != ""
		}
	case "package-group":
		var encoded string
		t.Domain, encoded, _ = strings.Cut(rest, "/")
		t.Pattern, ok = decodeGroupPattern("/" + encoded)
		ok = ok && t.Pattern != "/"
	}
	if !ok || t.Domain == "" {
		return bad()
	}
	return t, nil
}

// EncodeGroupPattern percent-encodes every byte of a package-group pattern but
// letters, digits, "-", ".", "_" and "/" (specification 2.2, our choice where
// AWS is silent).
func EncodeGroupPattern(pattern string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(pattern) {
		c := pattern[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func decodeGroupPattern(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := unhex(s[i+1]), unhex(s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

func codeartifact(region, account, resource string) ARN {
	return ARN{Partition: Partition, Service: "codeartifact", Region: region, Account: account, Resource: resource}
}

func iam(account, resource string) ARN {
	return ARN{Partition: Partition, Service: "iam", Account: account, Resource: resource}
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

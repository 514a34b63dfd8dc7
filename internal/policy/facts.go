package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Facts is what is known about a request, as a ConditionContext of the global
// condition keys (specification 6.4). A field with its zero value leaves its
// key without a value, save where said. Build one per request; nothing is
// computed before a condition asks.
type Facts struct {
	Principal Principal

	Time            time.Time // aws:CurrentTime, aws:EpochTime
	SourceIP        netip.Addr
	SourceVPC       string
	SourceVPCE      string
	SecureTransport bool // aws:SecureTransport always has a value
	UserAgent       string
	Referer         string
	Region          string   // aws:RequestedRegion
	CalledVia       []string // services on whose behalf, first to last
	OrgID           string
	OrgPaths        []string

	MFA           *bool     // nil for long-term keys, as in AWS
	MFATime       time.Time // when the code was given; aws:MultiFactorAuthAge counts from it
	TokenIssuedAt time.Time // of temporary credentials

	ResourceAccount string
	ResourceTags    map[string]string
	RequestTags     map[string]string
	TagKeys         []string // for UntagResource; else the keys of RequestTags

	// Extra holds keys of services by their lower-case names, for example
	// "sts:durationseconds".
	Extra map[string][]string
}

// Value implements ConditionContext.
func (f *Facts) Value(key string) ([]string, bool) {
	global, ok := strings.CutPrefix(key, "aws:")
	if !ok {
		return f.extra(key)
	}
	if name, tag, ok := strings.Cut(global, "/"); ok {
		switch name {
		case "principaltag":
			return tagValue(f.Principal.Tags, tag)
		case "resourcetag":
			return tagValue(f.ResourceTags, tag)
		case "requesttag":
			return tagValue(f.RequestTags, tag)
		}
		return f.extra(key)
	}
	if values, known := f.aboutPrincipal(global); known {
		return values, len(values) > 0
	}
	if values, known := f.aboutRequest(global); known {
		return values, len(values) > 0
	}
	return f.extra(key)
}

func (f *Facts) extra(key string) ([]string, bool) {
	values, ok := f.Extra[key]
	return values, ok
}

func (f *Facts) aboutPrincipal(name string) (values []string, known bool) {
	p := &f.Principal
	switch name {
	case "principalarn":
		return some(p.conditionARN()), true
	case "principalaccount":
		return some(p.Account), true
	case "principaltype":
		return some(p.Type.String()), true
	case "userid":
		return some(p.conditionUserID()), true
	case "username":
		if p.Type != User {
			return nil, true
		}
		return some(p.UserName), true
	case "principalorgid":
		return some(f.OrgID), true
	case "principalorgpaths":
		return f.OrgPaths, true
	case "principalisawsservice":
		return some(strconv.FormatBool(p.Type == Service)), true
	case "principalservicename":
		return some(p.Service), true
	case "multifactorauthpresent":
		if f.MFA == nil {
			return nil, true
		}
		return some(strconv.FormatBool(*f.MFA)), true
	case "multifactorauthage":
		if f.MFATime.IsZero() || f.Time.IsZero() {
			return nil, true
		}
		return some(strconv.FormatInt(int64(f.Time.Sub(f.MFATime)/time.Second), 10)), true
	case "tokenissuetime":
		return some(timestamp(f.TokenIssuedAt)), true
	}
	return nil, false
}

func (f *Facts) aboutRequest(name string) (values []string, known bool) {
	switch name {
	case "currenttime":
		return some(timestamp(f.Time)), true
	case "epochtime":
		if f.Time.IsZero() {
			return nil, true
		}
		return some(strconv.FormatInt(f.Time.Unix(), 10)), true
	case "sourceip":
		if !f.SourceIP.IsValid() {
			return nil, true
		}
		return some(f.SourceIP.Unmap().String()), true
	case "sourcevpc":
		return some(f.SourceVPC), true
	case "sourcevpce":
		return some(f.SourceVPCE), true
	case "securetransport":
		return some(strconv.FormatBool(f.SecureTransport)), true
	case "useragent":
		return some(f.UserAgent), true
	case "referer":
		return some(f.Referer), true
	case "requestedregion":
		return some(f.Region), true
	case "resourceaccount":
		return some(f.ResourceAccount), true
	case "calledvia":
		return f.CalledVia, true
	case "calledviafirst":
		return f.CalledVia[:min(1, len(f.CalledVia))], true
	case "calledvialast":
		return f.CalledVia[max(0, len(f.CalledVia)-1):], true
	case "viaawsservice":
		return some(strconv.FormatBool(len(f.CalledVia) > 0)), true
	case "tagkeys":
		return f.tagKeys(), true
	}
	return nil, false
}

func (f *Facts) tagKeys() []string {
	if f.TagKeys != nil {
		return f.TagKeys
	}
	keys := make([]string, 0, len(f.RequestTags))
	for k := range f.RequestTags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// conditionARN is the ARN conditions see: for a session that of its role.
func (p *Principal) conditionARN() string {
	if p.Type == AssumedRole && p.RoleARN != "" {
		return p.RoleARN
	}
	return p.ARN
}

func (p *Principal) conditionUserID() string {
	switch {
	case p.Type == Anonymous:
		return "anonymous"
	case p.Type == Root && p.UserID == "":
		return p.Account
	}
	return p.UserID
}

// tagValue finds a tag by the lower-case form of its key: keys of conditions
// have no case. Of tags that differ in case alone, the first in order of their
// keys counts.
func tagValue(tags map[string]string, key string) ([]string, bool) {
	best, found := "", false
	for k := range tags {
		if strings.ToLower(k) == key && (!found || k < best) {
			best, found = k, true
		}
	}
	if !found {
		return nil, false
	}
	return []string{tags[best]}, true
}

func some(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

package organisation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fake is a server in memory that knows retention, topics and alarms beside one
// domain with repositories.
//
// MERGE: as soon as the server has retention, topics and alarms, the tests that
// use this (TestFake_*) belong on it, beside those of
// internal/cli/organisation_test.go.
type fake struct {
	things  map[string]map[string]any // by kind and name
	unknown string                    // operations whose names hold it are not known
	calls   []string
	fail    int // after so many calls that change something, each fails; 0: none
}

type fakeError string

func (e fakeError) Error() string     { return string(e) }
func (e fakeError) ErrorCode() string { return string(e) }

func (f *fake) under(prefix string) (out []any) {
	for _, key := range slices.Sorted(maps.Keys(f.things)) {
		if strings.HasPrefix(key, prefix) {
			out = append(out, f.things[key])
		}
	}
	return out
}

func (f *fake) Call(_ context.Context, operation string, in map[string]any) (map[string]any, error) {
	if f.unknown != "" && strings.Contains(operation, f.unknown) {
		return nil, fmt.Errorf("%w: this server does not know %s", ErrUnknownOperation, operation)
	}
	for _, read := range []string{"List", "Describe", "Get"} {
		if strings.HasPrefix(operation, read) {
			return f.read(operation, in)
		}
	}
	f.calls = append(f.calls, operation)
	if f.fail > 0 && len(f.calls) >= f.fail {
		return nil, fakeError("InternalServerException")
	}
	name := func(members ...string) string {
		parts := []string{}
		for _, m := range members {
			parts = append(parts, fmt.Sprint(in[m]))
		}
		return strings.Join(parts, " ")
	}
	lower := func(members ...string) map[string]any {
		out := map[string]any{}
		for _, m := range members {
			if v, ok := in[m]; ok {
				out[strings.ToLower(m[:1])+m[1:]] = v
			}
		}
		return out
	}
	switch operation {
	case "CreateDomain":
		f.things["domain "+name("Domain")] = map[string]any{"name": in["Domain"], "arn": "arn:domain"}
	case "CreateRepository":
		f.things["repository "+name("Repository")] = map[string]any{"name": in["Repository"], "arn": "arn:repository"}
	case "PutRepositoryRetentionConfiguration":
		f.things["retention "+name("Repository")] = lower("RetentionDays", "MaxVersionsRetained", "Rules")
	case "PutDomainRetentionConfiguration":
		f.things["retention "+name("OriginType")] = lower("RetentionDays", "MaxVersionsRetained", "Rules")
	case "DeleteRepositoryRetentionConfiguration":
		delete(f.things, "retention "+name("Repository"))
	case "DeleteDomainRetentionConfiguration":
		delete(f.things, "retention "+name("OriginType"))
	case "CreateTopic":
		f.things["topic "+name("Name")] = map[string]any{"TopicArn": "arn:aws:sns:us-east-1:123456789012:" + name("Name")}
	case "DeleteTopic":
		delete(f.things, "topic "+name("TopicArn")[strings.LastIndexByte(name("TopicArn"), ':')+1:])
	case "Subscribe":
		f.things["subscription "+name("TopicArn", "Protocol", "Endpoint")] = map[string]any{
			"TopicArn": in["TopicArn"], "Protocol": in["Protocol"], "Endpoint": in["Endpoint"], "SubscriptionArn": "arn:" + name("TopicArn", "Protocol", "Endpoint"),
		}
	case "Unsubscribe":
		delete(f.things, "subscription "+strings.TrimPrefix(name("SubscriptionArn"), "arn:"))
	case "PutMetricAlarm":
		f.things["alarm "+name("AlarmName")] = maps.Clone(in)
	case "DeleteAlarms":
		delete(f.things, "alarm "+fmt.Sprint(in["AlarmNames"].([]any)[0]))
	default:
		return nil, fmt.Errorf("the fake has no %s", operation)
	}
	return map[string]any{}, nil
}

func (f *fake) read(operation string, in map[string]any) (map[string]any, error) {
	one := func(key, member string) (map[string]any, error) {
		if v, ok := f.things[key]; ok {
			return map[string]any{member: v}, nil
		}
		return nil, fakeError("ResourceNotFoundException")
	}
	switch operation {
	case "ListDomains":
		return map[string]any{"domains": f.under("domain ")}, nil
	case "ListRepositoriesInDomain":
		return map[string]any{"repositories": f.under("repository ")}, nil
	case "DescribeRepository":
		return one("repository "+fmt.Sprint(in["Repository"]), "repository")
	case "GetRepositoryRetentionConfiguration":
		return one("retention "+fmt.Sprint(in["Repository"]), "retentionConfiguration")
	case "GetDomainRetentionConfiguration":
		return one("retention "+fmt.Sprint(in["OriginType"]), "retentionConfiguration")
	case "ListTopics":
		return map[string]any{"Topics": f.under("topic ")}, nil
	case "ListSubscriptions":
		return map[string]any{"Subscriptions": f.under("subscription ")}, nil
	case "DescribeAlarms":
		return map[string]any{"MetricAlarms": f.under("alarm ")}, nil
	case "ListPackageGroups", "ListPolicies", "ListGroups", "ListUsers", "ListRoles", "ListTagsForResource", "GetCallerIdentity":
		return map[string]any{}, nil
	}
	return nil, fakeError("ResourceNotFoundException")
}

package eventsapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/audit"
	"packhouse/internal/awsjson"
	"packhouse/internal/catalog"
	"packhouse/internal/eventsapi"
)

const pattern = `{"source":["aws.codeartifact"]}`

func TestRules(t *testing.T) {
	h := newHouse(t)
	h.wants("PutRule", object{"Name": "b", "EventPattern": pattern, "Description": "d", "RoleArn": "arn:role"}, object{"RuleArn": ruleARN + "b"})
	h.must("PutRule", object{"Name": "a", "EventPattern": pattern, "State": "DISABLED", "EventBusName": "default"})
	h.must("PutRule", object{"Name": "a2", "EventPattern": pattern, "EventBusName": "arn:aws:events:us-east-1:123456789012:event-bus/default"})
	b := object{"Name": "b", "Arn": ruleARN + "b", "EventPattern": pattern, "State": "ENABLED", "Description": "d", "RoleArn": "arn:role", "EventBusName": "default"}
	a := object{"Name": "a", "Arn": ruleARN + "a", "EventPattern": pattern, "State": "DISABLED", "EventBusName": "default"}
	described := object{"CreatedBy": account}
	maps.Copy(described, b)
	h.wants("DescribeRule", object{"Name": "b"}, described)
	first := h.must("ListRules", object{"Limit": 1})
	if diff := cmp.Diff([]any{a}, first["Rules"]); diff != "" {
		t.Error(diff)
	}
	rest := h.must("ListRules", object{"NextToken": first["NextToken"]})
	if list, _ := rest["Rules"].([]any); len(list) != 2 || rest["NextToken"] != nil {
		t.Errorf("the rest is %v", rest)
	}
	h.fails("ListRules", object{"NextToken": first["NextToken"], "NamePrefix": "a"}, "ValidationException", "token")
	if list, _ := h.must("ListRules", object{"NamePrefix": "a"})["Rules"].([]any); len(list) != 2 {
		t.Errorf("with prefix a: %v", list)
	}
	h.wants("EnableRule", object{"Name": "a"}, object{})
	h.wants("DisableRule", object{"Name": "b"}, object{})
	for name, state := range map[string]string{"a": "ENABLED", "b": "DISABLED"} {
		if got := h.must("DescribeRule", object{"Name": name})["State"]; got != state {
			t.Errorf("rule %s is %v", name, got)
		}
	}
	h.wants("DeleteRule", object{"Name": "b"}, object{})
	h.wants("DeleteRule", object{"Name": "b", "Force": true}, object{})
	for _, operation := range []string{"DescribeRule", "EnableRule", "DisableRule"} {
		h.fails(operation, object{"Name": "b"}, "ResourceNotFoundException", "Rule b does not exist on EventBus default.")
	}
}

func TestRules_Refused(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		in               object
		exception, words string
	}{
		{object{}, "ValidationException", "'name' failed to satisfy constraint: Member must not be null"},
		{object{"Name": "a b", "EventPattern": pattern}, "ValidationException", "regular expression"},
		{object{"Name": strings.Repeat("x", 65), "EventPattern": pattern}, "ValidationException", "less than or equal to 64"},
		{object{"Name": "a"}, "ValidationException", "EventPattern or ScheduleExpression must be specified"},
		{object{"Name": "a", "ScheduleExpression": "rate(1 day)"}, "ValidationException", "schedule"},
		{object{"Name": "a", "EventPattern": pattern, "Tags": []object{{"Key": "k", "Value": "v"}}}, "ValidationException", "tags"},
		{object{"Name": "a", "EventPattern": pattern, "State": "ON"}, "ValidationException", "enum"},
		{object{"Name": "a", "EventPattern": pattern, "EventBusName": "mine"}, "ResourceNotFoundException", "Event bus mine does not exist."},
		{object{"Name": "a", "EventPattern": "{"}, "InvalidEventPatternException", "Event pattern is not valid. Reason: not valid JSON"},
		{object{"Name": "a", "EventPattern": `{"a":"x"}`}, "InvalidEventPatternException", `"a" must be an object or an array`},
		{object{"Name": 1}, "SerializationException", "name: expected a string"},
	} {
		h.fails("PutRule", c.in, c.exception, c.words)
	}
	if status, out := h.send("PutRule", "{"); status != http.StatusBadRequest || out["__type"] != "SerializationException" {
		t.Errorf("broken JSON: %d %v", status, out)
	}
	h.fails("PutEvents", object{}, "UnknownOperationException", "no operation of this name")
}

func TestRules_Quota(t *testing.T) {
	h := newHouse(t)
	err := h.db.Update(t.Context(), func(tx *catalog.Tx) error {
		for i := range 1000 {
			if err := tx.PutEventRule(catalog.EventRule{Account: account, Name: fmt.Sprint("r", i), Pattern: pattern}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.fails("PutRule", object{"Name": "more", "EventPattern": pattern}, "LimitExceededException", "rules: 1000")
	h.must("PutRule", object{"Name": "r7", "EventPattern": pattern})
}

func TestTestEventPattern(t *testing.T) {
	h := newHouse(t)
	const event = `{"id":"1","account":"2","source":"aws.codeartifact","time":"t","region":"r","resources":[],"detail-type":"d","detail":{"n":5}}`
	h.wants("TestEventPattern", object{"EventPattern": pattern, "Event": event}, object{"Result": true})
	h.wants("TestEventPattern", object{"EventPattern": `{"detail":{"n":[{"numeric":["<",5]}]}}`, "Event": event}, object{"Result": false})
	h.fails("TestEventPattern", object{"EventPattern": `{}`, "Event": event}, "InvalidEventPatternException", "empty")
	h.fails("TestEventPattern", object{"EventPattern": pattern, "Event": `{"id":"1"}`}, "ValidationException", "the event lacks account")
	h.fails("TestEventPattern", object{"EventPattern": pattern, "Event": `x`}, "ValidationException", "not valid JSON")
}

func TestTargets(t *testing.T) {
	h := newHouse(t)
	h.must("PutRule", object{"Name": "r", "EventPattern": pattern})
	full := object{
		"Id": "2", "Arn": hook, "RoleArn": "arn:role", "RetryPolicy": object{"MaximumRetryAttempts": 0.0, "MaximumEventAgeInSeconds": 60.0},
		"InputTransformer": object{"InputPathsMap": object{"p": "$.detail.packageName"}, "InputTemplate": `"<p>"`},
		"HttpParameters":   object{"HeaderParameters": object{"X-A": "b"}, "QueryStringParameters": object{"q": "1"}, "PathParameterValues": []any{"p"}},
	}
	log := object{"Id": "1", "Arn": "arn:aws:packhouse:::log", "InputPath": "$.detail"}
	h.wants("PutTargets", object{"Rule": "r", "Targets": []any{full, log}}, object{"FailedEntryCount": 0.0, "FailedEntries": []any{}})
	h.wants("ListTargetsByRule", object{"Rule": "r"}, object{"Targets": []any{log, full}})
	h.wants("PutTargets", object{"Rule": "r", "Targets": []any{object{"Id": "1", "Arn": hook, "Input": `{"a":1}`}}}, object{"FailedEntryCount": 0.0, "FailedEntries": []any{}})
	h.wants("ListTargetsByRule", object{"Rule": "r", "Limit": 5}, object{"Targets": []any{object{"Id": "1", "Arn": hook, "Input": `{"a":1}`}, full}})
	h.wants("ListRuleNamesByTarget", object{"TargetArn": hook}, object{"RuleNames": []any{"r"}})
	h.wants("ListRuleNamesByTarget", object{"TargetArn": hook + "2"}, object{"RuleNames": []any{}})
	h.fails("DeleteRule", object{"Name": "r"}, "ValidationException", "Rule can't be deleted since it has targets.")
	h.wants("RemoveTargets", object{"Rule": "r", "Ids": []string{"1", "nope", "2"}}, object{"FailedEntryCount": 1.0, "FailedEntries": []any{
		object{"TargetId": "nope", "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "Rule r does not have target nope."},
	}})
	h.wants("ListTargetsByRule", object{"Rule": "r"}, object{"Targets": []any{}})
	h.must("DeleteRule", object{"Name": "r"})
	for operation, in := range map[string]object{
		"PutTargets": {"Rule": "r", "Targets": []any{log}}, "ListTargetsByRule": {"Rule": "r"}, "RemoveTargets": {"Rule": "r", "Ids": []string{"1"}},
	} {
		h.fails(operation, in, "ResourceNotFoundException", "Rule r does not exist")
	}
}

func TestTargets_Refused(t *testing.T) {
	h := newHouse(t)
	h.must("PutRule", object{"Name": "r", "EventPattern": pattern})
	with := func(more object) object {
		target := object{"Id": "1", "Arn": hook}
		maps.Copy(target, more)
		return object{"Rule": "r", "Targets": []any{object{"Id": "good", "Arn": hook}, target}}
	}
	for words, more := range map[string]object{
		"is not a target here":             {"Arn": "arn:aws:sqs:us-east-1:123456789012:queue"},
		"must be an https or http URL":     {"Arn": "arn:aws:packhouse:::webhook/file:///etc/passwd"},
		"must not hold a user or password": {"Arn": "arn:aws:packhouse:::webhook/https://u:p@x.test/"},
		"there is no api-destination":      {"Arn": "arn:aws:events:us-east-1:123456789012:api-destination/x/1"},
		"Only one of Input":                {"Input": "1", "InputPath": "$"},
		"JSON syntax error in Input":       {"Input": "x"},
		"Invalid JSONPath":                 {"InputPath": "x"},
		"has no path for <x>":              {"InputTransformer": object{"InputTemplate": "<x>"}},
		"dead letters are kept by":         {"DeadLetterConfig": object{"Arn": "arn:aws:sqs:us-east-1:1:q"}},
		"less than or equal to 185":        {"RetryPolicy": object{"MaximumRetryAttempts": 186}},
		"greater than or equal to 60":      {"RetryPolicy": object{"MaximumEventAgeInSeconds": 59}},
		"headerParameters":                 {"HttpParameters": object{"HeaderParameters": object{"A b": "c"}}},
		"HeaderParameters.A":               {"HttpParameters": object{"HeaderParameters": object{"A": "c\r\nd"}}},
		"targets.2.member.id":              {"Id": ""},
	} {
		status, out := h.call("PutTargets", with(more))
		if message, _ := out["message"].(string); status != http.StatusBadRequest || out["__type"] != "ValidationException" || !strings.Contains(strings.ToLower(message), strings.ToLower(words)) {
			t.Errorf("%v: got %d %v, want ...%s...", more, status, out, words)
		}
	}
	h.wants("ListTargetsByRule", object{"Rule": "r"}, object{"Targets": []any{}}) // all or none
	var many []any
	for i := range 6 {
		many = append(many, object{"Id": fmt.Sprint(i), "Arn": hook})
	}
	h.fails("PutTargets", object{"Rule": "r", "Targets": many}, "LimitExceededException", "targets of a rule: 5")
}

func TestSigningSecret(t *testing.T) {
	h := newHouse(t)
	secret := func(target string) string {
		s, _ := h.must("GetSigningSecret", object{"TargetArn": target})["SigningSecret"].(string)
		return s
	}
	first := secret(hook)
	if !strings.HasPrefix(first, "whsec_") || secret(hook) != first || secret(hook+"2") == first {
		t.Errorf("secrets %s, %s, %s", first, secret(hook), secret(hook+"2"))
	}
	h.wants("RotateSigningSecret", object{}, object{})
	if secret(hook) == first {
		t.Error("the secret is the old one")
	}
	h.fails("GetSigningSecret", object{"TargetArn": "arn:aws:packhouse:::log"}, "ValidationException", "not signed")
}

func TestConnectionsAndDestinations(t *testing.T) {
	h := newHouse(t)
	made := h.must("CreateConnection", object{
		"Name": "ci", "Description": "d", "AuthorizationType": "BASIC", "AuthParameters": object{
			"BasicAuthParameters": object{"Username": "u", "Password": "hunter2"},
			"InvocationHttpParameters": object{
				"HeaderParameters":      []object{{"Key": "H", "Value": "hunter3", "IsValueSecret": true}, {"Key": "I", "Value": "shown"}},
				"QueryStringParameters": []object{{"Key": "q", "Value": "1"}}, "BodyParameters": []object{{"Key": "b", "Value": "hunter4", "IsValueSecret": true}},
			},
		},
	})
	connection, _ := made["ConnectionArn"].(string)
	if !strings.HasPrefix(connection, "arn:aws:events:us-east-1:123456789012:connection/ci/") || made["ConnectionState"] != "AUTHORIZED" {
		t.Errorf("made %v", made)
	}
	described := h.must("DescribeConnection", object{"Name": "ci"})
	if diff := cmp.Diff(object{
		"BasicAuthParameters": object{"Username": "u"}, "InvocationHttpParameters": object{
			"HeaderParameters":      []any{object{"Key": "H", "IsValueSecret": true}, object{"Key": "I", "Value": "shown", "IsValueSecret": false}},
			"QueryStringParameters": []any{object{"Key": "q", "Value": "1", "IsValueSecret": false}},
			"BodyParameters":        []any{object{"Key": "b", "IsValueSecret": true}},
		},
	}, described["AuthParameters"]); diff != "" {
		t.Error(diff)
	}
	h.must("UpdateConnection", object{"Name": "ci", "AuthorizationType": "API_KEY", "AuthParameters": object{"ApiKeyAuthParameters": object{"ApiKeyName": "X-Key", "ApiKeyValue": "hunter5"}}})
	h.must("UpdateConnection", object{"Name": "ci", "Description": "other"})
	if got := h.must("DescribeConnection", object{"Name": "ci"}); got["AuthorizationType"] != "API_KEY" || got["Description"] != "other" || strings.Contains(fmt.Sprint(got), "hunter") {
		t.Errorf("described %v", got)
	}
	if list, _ := h.must("ListConnections", object{"NamePrefix": "c"})["Connections"].([]any); len(list) != 1 || strings.Contains(fmt.Sprint(list), "hunter") {
		t.Errorf("connections %v", list)
	}

	destination := h.must("CreateApiDestination", object{"Name": "d", "ConnectionArn": connection, "InvocationEndpoint": "https://ci.example.test/*", "HttpMethod": "POST"})
	arn, _ := destination["ApiDestinationArn"].(string)
	if !strings.HasPrefix(arn, "arn:aws:events:us-east-1:123456789012:api-destination/d/") || destination["ApiDestinationState"] != "ACTIVE" {
		t.Errorf("made %v", destination)
	}
	h.must("UpdateApiDestination", object{"Name": "d", "HttpMethod": "PUT", "InvocationRateLimitPerSecond": 7})
	got := h.must("DescribeApiDestination", object{"Name": "d"})
	if diff := cmp.Diff([]any{arn, connection, "https://ci.example.test/*", "PUT", 7.0, "ACTIVE"}, []any{got["ApiDestinationArn"], got["ConnectionArn"], got["InvocationEndpoint"], got["HttpMethod"], got["InvocationRateLimitPerSecond"], got["ApiDestinationState"]}); diff != "" {
		t.Error(diff)
	}
	h.must("PutRule", object{"Name": "r", "EventPattern": pattern})
	h.must("PutTargets", object{"Rule": "r", "Targets": []any{object{"Id": "1", "Arn": arn}}})
	if list, _ := h.must("ListApiDestinations", object{"ConnectionArn": connection})["ApiDestinations"].([]any); len(list) != 1 {
		t.Errorf("destinations %v", list)
	}
	h.must("DeleteConnection", object{"Name": "ci"})
	if got := h.must("DescribeApiDestination", object{"Name": "d"})["ApiDestinationState"]; got != "INACTIVE" {
		t.Errorf("without its connection the destination is %v", got)
	}
	h.wants("DeleteApiDestination", object{"Name": "d"}, object{})
	h.fails("DescribeApiDestination", object{"Name": "d"}, "ResourceNotFoundException", "does not exist")
	h.fails("DescribeConnection", object{"Name": "ci"}, "ResourceNotFoundException", "does not exist")
	h.fails("DeleteConnection", object{"Name": "ci"}, "ResourceNotFoundException", "does not exist")
	h.fails("CreateApiDestination", object{"Name": "e", "ConnectionArn": connection, "InvocationEndpoint": "https://x.test/", "HttpMethod": "POST"}, "ResourceNotFoundException", "Connection")
}

func TestConnections_Refused(t *testing.T) {
	h := newHouse(t)
	create := func(kind string, params object) object {
		return object{"Name": "c", "AuthorizationType": kind, "AuthParameters": params}
	}
	key := object{"ApiKeyName": "K", "ApiKeyValue": "v"}
	for _, c := range []struct {
		in               object
		exception, words string
	}{
		{create("OAUTH_CLIENT_CREDENTIALS", object{"OAuthParameters": object{}}), "ValidationException", "not supported"},
		{create("BASIC", object{}), "ValidationException", "lack"},
		{create("BASIC", object{"BasicAuthParameters": object{"Username": "u"}}), "ValidationException", "lack"},
		{create("BASIC", object{"ApiKeyAuthParameters": key}), "ValidationException", "are not those of"},
		{create("API_KEY", object{"ApiKeyAuthParameters": object{"ApiKeyName": "a b", "ApiKeyValue": "v"}}), "ValidationException", "name of a header"},
		{create("API_KEY", object{"ApiKeyAuthParameters": object{"ApiKeyName": "a\r\nb", "ApiKeyValue": "v"}}), "ValidationException", "regular expression"},
		{create("API_KEY", object{"ApiKeyAuthParameters": key, "InvocationHttpParameters": object{"HeaderParameters": []object{{"Value": "v"}}}}), "ValidationException", "has no Key"},
		{create("API_KEY", object{"ApiKeyAuthParameters": key, "InvocationHttpParameters": object{"HeaderParameters": []object{{"Key": "A"}, {"Key": "A"}}}}), "ValidationException", "given twice"},
		{create("NONE", object{}), "ValidationException", "enum"},
		{object{"Name": "c", "AuthorizationType": "BASIC"}, "ValidationException", "authParameters"},
	} {
		h.fails("CreateConnection", c.in, c.exception, c.words)
	}
	if _, out := h.call("CreateConnection", create("API_KEY", object{"ApiKeyAuthParameters": object{"ApiKeyName": "K", "ApiKeyValue": "hunter2\n"}})); strings.Contains(fmt.Sprint(out), "hunter2") {
		t.Errorf("a secret is repeated: %v", out)
	}
	h.must("CreateConnection", create("API_KEY", object{"ApiKeyAuthParameters": key}))
	h.fails("CreateConnection", create("API_KEY", object{"ApiKeyAuthParameters": key}), "ResourceAlreadyExistsException", "already exists")
}

func TestInputs_HideTheirSecrets(t *testing.T) {
	in := &eventsapi.CreateConnectionInput{Name: "ci", AuthParameters: &eventsapi.AuthParameters{
		BasicAuthParameters:      &eventsapi.BasicAuth{Username: "u", Password: "hunter2"},
		ApiKeyAuthParameters:     &eventsapi.APIKeyAuth{ApiKeyName: "K", ApiKeyValue: "hunter3"},
		InvocationHttpParameters: &eventsapi.InvocationParameters{HeaderParameters: []eventsapi.HeaderParameter{{Key: "H", Value: "hunter4"}}},
	}}
	if got := audit.Redact(in); strings.Contains(got, "hunter") || !strings.Contains(got, `"apiKeyName":"K"`) {
		t.Errorf("the access record has %s", got)
	}
}

func TestDeadLetters(t *testing.T) {
	h := newHouse(t)
	for _, rule := range []string{"r", "s"} {
		h.must("PutRule", object{"Name": rule, "EventPattern": pattern})
		h.must("PutTargets", object{"Rule": rule, "Targets": []any{object{"Id": "1", "Arn": hook}}})
	}
	bury := func(target string) {
		err := h.db.Update(t.Context(), func(tx *catalog.Tx) error {
			d := catalog.EventDelivery{Account: account, Target: target, TargetARN: hook, EventID: "e", Body: `{"n":1}`, Since: tx.Now().Add(-time.Hour)}
			if err := tx.InsertEventDelivery(d); err != nil {
				return err
			}
			taken, err := tx.LeaseEventDeliveries(target, 1, time.Minute)
			if err != nil {
				return err
			}
			return tx.BuryEventDelivery(taken[0], 1, "remote webhook answered 500")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		bury(account + "/r/1")
	}
	bury(account + "/s/1")
	bury(account + "/gone/1")
	count := func(in object) int {
		list, _ := h.must("ListDeadLetters", in)["DeadLetters"].([]any)
		return len(list)
	}
	if all, some := count(object{}), count(object{"Rule": "r"}); all != 5 || some != 3 {
		t.Fatalf("%d dead letters, %d of r", all, some)
	}
	page := h.must("ListDeadLetters", object{"Rule": "r", "Limit": 2})
	list, _ := page["DeadLetters"].([]any)
	one, _ := list[0].(object)
	id, _ := one["DeadLetterId"].(string)
	if diff := cmp.Diff([]any{"r", "1", hook, "e", 1.0, "remote webhook answered 500", `{"n":1}`}, []any{one["Rule"], one["TargetId"], one["TargetArn"], one["EventId"], one["Attempts"], one["ErrorMessage"], one["Message"]}); diff != "" {
		t.Error(diff)
	}
	if n := count(object{"Rule": "r", "NextToken": page["NextToken"]}); n != 1 {
		t.Errorf("%d on the second page", n)
	}
	missing := object{"DeadLetterId": "nope", "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "Dead letter nope does not exist."}
	h.wants("ReplayDeadLetters", object{"DeadLetterIds": []string{id, "nope"}}, object{"ReplayedCount": 1.0, "FailedEntryCount": 1.0, "FailedEntries": []any{missing}})
	h.wants("ReplayDeadLetters", object{"Rule": "r"}, object{"ReplayedCount": 2.0, "FailedEntryCount": 0.0, "FailedEntries": []any{}})
	rest := h.must("ReplayDeadLetters", object{})
	if rest["ReplayedCount"] != 1.0 || rest["FailedEntryCount"] != 1.0 {
		t.Errorf("the rest: %v", rest)
	}
	if n := count(object{}); n != 1 { // whose rule is gone
		t.Errorf("%d dead letters are left", n)
	}
}

func TestAccess_OnTheRule(t *testing.T) {
	h := newHouse(t)
	u := h.user("eve", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["events:Put*","events:ListDeadLetters"],"Resource":"`+ruleARN+`mine-*"}]}`)
	u.must("PutRule", object{"Name": "mine-1", "EventPattern": pattern})
	u.must("PutTargets", object{"Rule": "mine-1", "Targets": []any{object{"Id": "1", "Arn": hook}}})
	u.must("ListDeadLetters", object{"Rule": "mine-1"})
	for operation, in := range map[string]object{
		"PutRule": {"Name": "other", "EventPattern": pattern}, "DescribeRule": {"Name": "mine-1"}, "ListRules": {}, "ListDeadLetters": {}, "ReplayDeadLetters": {"Rule": "mine-1"},
		"GetSigningSecret": {"TargetArn": hook}, "CreateConnection": {"Name": "c", "AuthorizationType": "BASIC", "AuthParameters": object{}},
		"TestEventPattern": {"EventPattern": pattern, "Event": "{}"}, "DeleteApiDestination": {"Name": "d"},
	} {
		u.fails(operation, in, "AccessDeniedException", "is not authorized to perform: events:"+operation)
	}
	u.key.SecretAccessKey = "wrong"
	u.fails("ListRules", object{}, "InvalidSignatureException", "")
}

func TestTable_NamesAreThoseOfEventBridge(t *testing.T) {
	ours := map[string]bool{"GetSigningSecret": true, "RotateSigningSecret": true, "ListDeadLetters": true, "ReplayDeadLetters": true}
	var got []string
	for _, r := range eventsapi.Table().Rows {
		if !ours[r.Name()] {
			got = append(got, r.Name())
		}
		if r.Doc() == "" {
			t.Errorf("%s has no line of help", r.Name())
		}
	}
	want := strings.Fields("PutRule DescribeRule ListRules EnableRule DisableRule DeleteRule TestEventPattern PutTargets ListTargetsByRule ListRuleNamesByTarget RemoveTargets " +
		"CreateConnection DescribeConnection ListConnections UpdateConnection DeleteConnection " +
		"CreateApiDestination DescribeApiDestination ListApiDestinations UpdateApiDestination DeleteApiDestination")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestServes(t *testing.T) {
	for target, want := range map[string]bool{"POST / AWSEvents.PutRule": true, "POST / ": false, "GET / x": false, "POST /v1/x x": false} {
		method, rest, _ := strings.Cut(target, " ")
		path, header, _ := strings.Cut(rest, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x.test"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set(awsjson.TargetHeader, header)
		}
		if got := awsjson.Serves(r); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

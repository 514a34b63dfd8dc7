package event_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/event"
	"packhouse/internal/fault"
)

func published() artifact.Event {
	return artifact.Event{
		Domain: "my_domain", Owner: "111122223333", Repository: "myrepo", Administrator: "123456789012",
		Coordinates: artifact.Coordinates{Format: artifact.NPM, Name: "mypackage"}, Version: "1.0.0",
		Status: artifact.Published, Revision: "0E5DE26A4CD79FDF3EBC4924FFFFFFFF", Operation: "Created",
		AssetsAdded: 1, Metadata: true, StatusChanged: true,
	}
}

func envelope(t *testing.T, e artifact.Event) string {
	t.Helper()
	at := time.Date(2019, 11, 21, 23, 19, 54, 123456000, time.UTC)
	text, err := event.New(e, event.Occurrence{ID: "0a1", At: at, Sequence: 1, Region: "us-west-2", Account: "123456789012"}).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEnvelope_Bytes(t *testing.T) {
	want := `{"version":"0","id":"f3cdfe66-2b9a-8d7a-bba2-54f4b8f17b59","detail-type":"CodeArtifact Package Version State Change",` +
		`"source":"aws.codeartifact","account":"123456789012","time":"2019-11-21T23:19:54Z","region":"us-west-2",` +
		`"resources":["arn:aws:codeartifact:us-west-2:111122223333:package/my_domain/myrepo/npm//mypackage"],"detail":{` +
		`"domainName":"my_domain","domainOwner":"111122223333","repositoryName":"myrepo","repositoryAdministrator":"123456789012",` +
		`"packageFormat":"npm","packageNamespace":null,"packageName":"mypackage","packageVersion":"1.0.0",` +
		`"packageVersionState":"Published","packageVersionRevision":"0E5DE26A4CD79FDF3EBC4924FFFFFFFF","changes":{` +
		`"assetsAdded":1,"assetsRemoved":0,"assetsUpdated":0,"metadataUpdated":true,"statusChanged":true},` +
		`"operationType":"Created","sequenceNumber":1,"eventDeduplicationId":"IgUQjpyLZ9qLUdpx3Gx46hIgF9UmGkX8Q7yV1tgX5KY="}}`
	got := envelope(t, published())
	ids := regexp.MustCompile(`"id":"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"|"eventDeduplicationId":"[A-Za-z0-9+/]{43}="`)
	if n := len(ids.FindAllString(got, -1)); n != 2 {
		t.Errorf("%d of 2 ids have the form of EventBridge's: %s", n, got)
	}
	if diff := cmp.Diff(ids.ReplaceAllString(want, "ID"), ids.ReplaceAllString(got, "ID")); diff != "" {
		t.Error(diff)
	}
}

func TestEnvelope_NamespaceAndOddNames(t *testing.T) {
	e := published()
	e.Coordinates.Namespace, e.Version = "acme", "1.0.0-<&>"
	if got := envelope(t, e); !regexp.MustCompile(`package/my_domain/myrepo/npm/acme/mypackage"\].*"packageNamespace":"acme".*"packageVersion":"1.0.0-<&>"`).MatchString(got) {
		t.Error(got)
	}
}

func TestEnvelope_IDs(t *testing.T) {
	of := func(id, account string) event.Envelope {
		return event.New(published(), event.Occurrence{ID: id, Account: account})
	}
	a, again, other, next := of("1", "111122223333"), of("1", "111122223333"), of("1", "123456789012"), of("2", "111122223333")
	if a.ID != again.ID || a.ID == other.ID || a.ID == next.ID {
		t.Errorf("ids %s, %s, %s, %s: want one for each event and account", a.ID, again.ID, other.ID, next.ID)
	}
	if a.Detail.EventDeduplicationID != other.Detail.EventDeduplicationID || a.Detail.EventDeduplicationID == next.Detail.EventDeduplicationID {
		t.Error("want one deduplication id for each event, whoever receives it")
	}
}

func TestReceivers(t *testing.T) {
	e := published()
	if diff := cmp.Diff([]string{"111122223333", "123456789012"}, event.Receivers(e)); diff != "" {
		t.Error(diff)
	}
	e.Administrator = e.Owner
	if diff := cmp.Diff([]string{"111122223333"}, event.Receivers(e)); diff != "" {
		t.Error(diff)
	}
}

const small = `{"id":"i","time":"T","detail":{"name":"a \"b\"","n":3,"list":[{"x":"y"}],"none":null},"odd-key":true}`

func TestTransform(t *testing.T) {
	rule := event.Rule{ARN: "arn:r", Name: "r"}
	for name, c := range map[string]struct {
		transform event.Transform
		want      string
	}{
		"nothing":              {event.Transform{}, small},
		"input":                {event.Transform{Input: `{"a": 1}`}, `{"a": 1}`},
		"path, whole":          {event.Transform{Path: "$"}, small},
		"path":                 {event.Transform{Path: "$.detail.n"}, `3`},
		"path, list":           {event.Transform{Path: "$.detail.list[0].x"}, `"y"`},
		"path, quoted":         {event.Transform{Path: "$['odd-key']"}, `true`},
		"path, bare odd key":   {event.Transform{Path: "$.odd-key"}, `true`},
		"path, absent":         {event.Transform{Path: "$.detail.nope.deeper"}, `null`},
		"path, beyond the end": {event.Transform{Path: "$.detail.list[7]"}, `null`},
		"template, JSON": {
			event.Transform{Paths: map[string]string{"name": "$.detail.name", "n": "$.detail.n", "no": "$.no"}, Template: `{"n": <n>, "name": <name>, "no": <no>, "text": "it is <name>, <n><no>"}`},
			`{"n": 3, "name": "a \"b\"", "no": null, "text": "it is a \"b\", 3"}`,
		},
		"template, text": {
			event.Transform{Paths: map[string]string{"n": "$.detail.n"}, Template: `"<n> of <aws.events.rule-name> <not a name> at <aws.events.event.ingestion-time>"`},
			`"3 of r <not a name> at T"`,
		},
		"template, reserved": {
			event.Transform{Template: `{"rule": <aws.events.rule-arn>, "event": <aws.events.event.json>}`},
			`{"rule": "arn:r", "event": ` + small + `}`,
		},
		"template, object in text": {
			event.Transform{Paths: map[string]string{"l": "$.detail.list"}, Template: `"<l>"`},
			`"[{\"x\":\"y\"}]"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.transform.Check(); err != nil {
				t.Fatal(err)
			}
			got, err := c.transform.Apply([]byte(small), rule)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTransform_Refuses(t *testing.T) {
	for name, transform := range map[string]event.Transform{
		"two":                      {Input: "1", Path: "$"},
		"input that is not JSON":   {Input: "{"},
		"path without $":           {Path: "detail"},
		"path with a wildcard":     {Path: "$.*"},
		"path with a double dot":   {Path: "$..a"},
		"path with an odd index":   {Path: "$[-1]"},
		"path with an open quote":  {Path: "$['a"},
		"unknown name in template": {Template: "<x>"},
		"reserved name":            {Paths: map[string]string{"awsX": "$"}, Template: "<awsX>"},
		"bad path of a name":       {Paths: map[string]string{"x": "y"}, Template: "<x>"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := transform.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzTransform(f *testing.F) {
	f.Add("$.detail.list[0]['x']", `{"a":"<x>","b":<x>}`)
	f.Add("$", `"<x><y>\"<x>`)
	f.Fuzz(func(t *testing.T, path, template string) {
		for _, transform := range []event.Transform{{Path: path}, {Paths: map[string]string{"x": path}, Template: template}} {
			if transform.Check() != nil {
				continue
			}
			if _, err := transform.Apply([]byte(small), event.Rule{}); err != nil {
				t.Errorf("%+v was accepted: %v", transform, err)
			}
		}
	})
}

func TestParseTarget(t *testing.T) {
	const region, account = "us-east-1", "123456789012"
	for text, want := range map[string]event.Address{
		"arn:aws:packhouse:::log":                                             {Log: true},
		"arn:aws:packhouse:::webhook/https://ci.example.test/a?b=c":           {URL: "https://ci.example.test/a?b=c"},
		"arn:aws:events:us-east-1:123456789012:api-destination/name.x/0a-1b":  {Destination: event.Name{Name: "name.x", ID: "0a-1b"}},
		event.DestinationARN(region, account, event.Name{Name: "n", ID: "i"}): {Destination: event.Name{Name: "n", ID: "i"}},
	} {
		got, err := event.ParseTarget(text, region, account)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "log", "arn:aws:sqs:us-east-1:123456789012:queue", "arn:aws:packhouse:::webhook/", "arn:aws:packhouse:::webhook/ftp://x.test/",
		"arn:aws:packhouse:::webhook/https:///x", "arn:aws:packhouse:::webhook/https://u:p@x.test/", "arn:aws:packhouse:::webhook/https://x.test/#f",
		"arn:aws:packhouse:::webhook/http://[::1", "arn:aws:events:us-east-2:123456789012:api-destination/n/i",
		"arn:aws:events:us-east-1:111111111111:api-destination/n/i", "arn:aws:events:us-east-1:123456789012:api-destination/n",
		"arn:aws:events:us-east-1:123456789012:rule/n",
	} {
		if _, err := event.ParseTarget(text, region, account); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

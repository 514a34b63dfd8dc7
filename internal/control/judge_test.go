package control_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/smithy-go"
	gocmp "github.com/google/go-cmp/cmp"

	"packhouse/internal/artifact"
	"packhouse/internal/control"
	"packhouse/internal/registry"
)

// The judge knows the SDK and the service model, and nothing of this package: it
// finds the operations by reflection, calls each, looks for every member of the
// answers, and provokes every error that the model documents.

// documented are the exceptions of each operation in the service model
// (2018-09-22), by their initials.
var documented = map[string]string{
	"AssociateExternalConnection":           "AD CF IS NF SQ TH VA",
	"CopyPackageVersions":                   "AD CF IS NF SQ TH VA",
	"CreateDomain":                          "AD CF IS NF SQ TH VA",
	"CreatePackageGroup":                    "AD CF IS NF SQ TH VA",
	"CreateRepository":                      "AD CF IS NF SQ TH VA",
	"DeleteDomain":                          "AD CF IS TH VA",
	"DeleteDomainPermissionsPolicy":         "AD CF IS NF TH VA",
	"DeletePackage":                         "AD CF IS NF TH VA",
	"DeletePackageGroup":                    "AD CF IS NF SQ TH VA",
	"DeletePackageVersions":                 "AD CF IS NF TH VA",
	"DeleteRepository":                      "AD CF IS NF TH VA",
	"DeleteRepositoryPermissionsPolicy":     "AD CF IS NF TH VA",
	"DescribeDomain":                        "AD IS NF TH VA",
	"DescribePackage":                       "AD IS NF TH VA",
	"DescribePackageGroup":                  "AD IS NF TH VA",
	"DescribePackageVersion":                "AD CF IS NF TH VA",
	"DescribeRepository":                    "AD IS NF TH VA",
	"DisassociateExternalConnection":        "AD CF IS NF SQ TH VA",
	"DisposePackageVersions":                "AD CF IS NF TH VA",
	"GetAssociatedPackageGroup":             "AD IS NF VA",
	"GetAuthorizationToken":                 "AD IS NF TH VA",
	"GetDomainPermissionsPolicy":            "AD IS NF TH VA",
	"GetPackageVersionAsset":                "AD CF IS NF TH VA",
	"GetPackageVersionReadme":               "AD IS NF TH VA",
	"GetRepositoryEndpoint":                 "AD IS NF TH VA",
	"GetRepositoryPermissionsPolicy":        "AD IS NF TH VA",
	"ListAllowedRepositoriesForGroup":       "AD IS NF SQ TH VA",
	"ListAssociatedPackages":                "AD IS NF VA",
	"ListDomains":                           "AD IS TH VA",
	"ListPackageGroups":                     "AD IS NF TH VA",
	"ListPackageVersionAssets":              "AD IS NF TH VA",
	"ListPackageVersionDependencies":        "AD IS NF TH VA",
	"ListPackageVersions":                   "AD IS NF TH VA",
	"ListPackages":                          "AD IS NF TH VA",
	"ListRepositories":                      "AD IS TH VA",
	"ListRepositoriesInDomain":              "AD IS NF TH VA",
	"ListSubPackageGroups":                  "AD IS NF TH VA",
	"ListTagsForResource":                   "AD NF TH VA",
	"PublishPackageVersion":                 "AD CF IS NF SQ TH VA",
	"PutDomainPermissionsPolicy":            "AD CF IS NF SQ TH VA",
	"PutPackageOriginConfiguration":         "AD IS NF TH VA",
	"PutRepositoryPermissionsPolicy":        "AD CF IS NF SQ TH VA",
	"TagResource":                           "AD NF SQ TH VA",
	"UntagResource":                         "AD NF TH VA",
	"UpdatePackageGroup":                    "AD IS NF SQ TH VA",
	"UpdatePackageGroupOriginConfiguration": "AD IS NF SQ TH VA",
	"UpdatePackageVersionsStatus":           "AD CF IS NF TH VA",
	"UpdateRepository":                      "AD CF IS NF SQ TH VA",
}

// exceptions are the names and statuses of the initials.
var exceptions = map[string]struct {
	code   string
	status int
}{
	"AD": {denied, 403}, "CF": {conflict, 409}, "IS": {"InternalServerException", 500}, "NF": {notFound, 404},
	"SQ": {quota, 402}, "TH": {"ThrottlingException", 429}, "VA": {invalid, 400},
}

// excused says why an error of the model cannot be provoked here; the key is an
// operation and an error, or the error alone.
var excused = map[string]string{
	"TH": "request rates are not limited (docs/divergences.md)",

	"CreateDomain NF":                   "keys are not looked up",
	"CopyPackageVersions CF":            "what is in the way is told for each version, in failedVersions",
	"DeletePackage CF":                  "changes of one package wait for each other",
	"DeletePackageVersions CF":          "what is in the way is told for each version, in failedVersions",
	"DeletePackageGroup CF":             "the root group cannot be named here: that is not valid",
	"DeleteRepository CF":               "a repository may be deleted whatever it holds or is used by",
	"DescribePackageVersion CF":         "there is a description in every status",
	"DisassociateExternalConnection CF": "a connection that is there can be taken away",
	"DisposePackageVersions CF":         "what is in the way is told for each version, in failedVersions",
	"UpdatePackageVersionsStatus CF":    "what is in the way is told for each version, in failedVersions",
	"UpdateRepository CF":               "changes of one repository wait for each other",

	"AssociateExternalConnection SQ":           "a second connection is a conflict, as the guide has it",
	"CopyPackageVersions SQ":                   "versions are as many as a call may name, or the call is not valid",
	"DeletePackageGroup SQ":                    "nothing is added",
	"DisassociateExternalConnection SQ":        "nothing is added",
	"ListAllowedRepositoriesForGroup SQ":       "nothing is added",
	"PutDomainPermissionsPolicy SQ":            "a document of more than 7168 characters is not valid in the model",
	"PutRepositoryPermissionsPolicy SQ":        "a document of more than 7168 characters is not valid in the model",
	"UpdatePackageGroup SQ":                    "nothing is added",
	"UpdatePackageGroupOriginConfiguration SQ": "the lists of a group are not limited",
}

// members are fields of an input.
type members map[string]any

// step is one call, and the members that its answer does not have; of the
// elements of a list those that any of them lacks.
type step struct {
	operation string
	in        members
	lacks     string
}

const (
	judgedTool = "the bytes of a tool"
	thisTeam   = "/npm/team/*"
	grants     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"codeartifact:List*","Resource":"*"}]}`
)

var judgedHash = sha256.Sum256([]byte(judgedTool))

// usual is what inputs have unless a step says otherwise.
var usual = members{
	"Domain": "corp", "DomainOwner": account, "Repository": "repo", "Format": "npm", "Namespace": "team", "Package": "hello", "PackageVersion": "1.0.0",
	"Asset": "package.tgz", "PackageGroup": thisTeam, "ResourceArn": domainARN("corp"), "PolicyDocument": grants,
}

var (
	someTags   = []types.Tag{{Key: aws.String("team"), Value: aws.String("tools")}}
	allowBlock = &types.PackageOriginRestrictions{Publish: "ALLOW", Upstream: "BLOCK"}
	onlyRepo   = []types.PackageGroupAllowedRepository{
		{RepositoryName: aws.String("repo"), OriginRestrictionType: "PUBLISH"}, {RepositoryName: aws.String("app"), OriginRestrictionType: "PUBLISH"},
	}
	upstreamRepo = []types.UpstreamRepository{{RepositoryName: aws.String("repo")}}
	genericTool  = members{
		"Format": "generic", "Package": "tool", "AssetName": "tool.bin", "AssetContent": judgedTool, "AssetSHA256": hex.EncodeToString(judgedHash[:]),
	}
)

// story calls every operation of a house that judged has set up.
func story() []step {
	const (
		fresh   = "Domain.AssetSizeBytes Domain.RepositoryCount"
		inherit = "PackageGroup.OriginConfiguration.Restrictions.RepositoriesCount"
		own     = "PackageGroup.OriginConfiguration.Restrictions.InheritedFrom " + inherit
		owns    = "PackageGroups.OriginConfiguration.Restrictions.InheritedFrom PackageGroups.OriginConfiguration.Restrictions.RepositoriesCount"
	)
	return []step{
		{"CreateDomain", members{"Domain": "judged", "EncryptionKey": "alias/some", "Tags": someTags}, fresh},
		{"ListDomains", members{"MaxResults": 1}, ""},
		{"DescribeDomain", nil, ""},
		{"CreateRepository", members{"Repository": "app", "Description": "an app", "Upstreams": upstreamRepo, "Tags": someTags}, "Repository.ExternalConnections"},
		{"AssociateExternalConnection", members{"Repository": "app", "ExternalConnection": public}, ""},
		{"DescribeRepository", members{"Repository": "app"}, ""},
		{"UpdateRepository", members{"Repository": "app", "Description": "the app"}, ""},
		{"ListRepositories", members{"MaxResults": 1}, ""},
		{"ListRepositoriesInDomain", members{"MaxResults": 1, "AdministratorAccount": account}, ""},
		{"GetRepositoryEndpoint", nil, ""},
		{"GetAuthorizationToken", members{"DurationSeconds": 900}, ""},
		{"PutDomainPermissionsPolicy", nil, ""},
		{"GetDomainPermissionsPolicy", nil, ""},
		{"PutRepositoryPermissionsPolicy", nil, ""},
		{"GetRepositoryPermissionsPolicy", nil, ""},
		{"TagResource", members{"Tags": someTags}, ""},
		{"ListTagsForResource", nil, ""},
		{"UntagResource", members{"TagKeys": []string{"team"}}, ""},

		{"CreatePackageGroup", members{"ContactInfo": "us", "Description": "ours", "Tags": someTags}, inherit},
		{"UpdatePackageGroup", members{"ContactInfo": "them"}, inherit},
		{
			"UpdatePackageGroupOriginConfiguration",
			members{"Restrictions": map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": "ALLOW_SPECIFIC_REPOSITORIES"}, "AddAllowedRepositories": onlyRepo},
			own,
		},
		{"DescribePackageGroup", nil, own},
		{"ListAllowedRepositoriesForGroup", members{"OriginRestrictionType": "PUBLISH", "MaxResults": 1}, ""},
		{"ListPackageGroups", members{"MaxResults": 1, "Prefix": "/npm"}, "NextToken " + owns},
		{"ListSubPackageGroups", members{"PackageGroup": "/*", "MaxResults": 1}, "NextToken " + owns},
		{"GetAssociatedPackageGroup", nil, own},
		{"ListAssociatedPackages", members{"MaxResults": 1}, ""},

		{"ListPackages", members{"MaxResults": 1, "Package": nil}, ""},
		{"DescribePackage", nil, ""},
		{"PutPackageOriginConfiguration", members{"Restrictions": allowBlock}, ""},
		{"ListPackageVersions", members{"MaxResults": 1}, "Versions.Origin.DomainEntryPoint.ExternalConnectionName"},
		{"DescribePackageVersion", nil, "PackageVersion.Licenses.Url PackageVersion.Origin.DomainEntryPoint.ExternalConnectionName"},
		{"ListPackageVersionAssets", nil, "NextToken"},
		{"ListPackageVersionDependencies", nil, "NextToken"},
		{"GetPackageVersionReadme", nil, ""},
		{"GetPackageVersionAsset", nil, ""},
		{"CopyPackageVersions", members{"SourceRepository": "repo", "DestinationRepository": "app", "Versions": []string{"1.0.0"}}, "FailedVersions"},
		{"CopyPackageVersions", members{"SourceRepository": "repo", "DestinationRepository": "app", "Versions": []string{"9.9.9"}}, "SuccessfulVersions"},
		{"UpdatePackageVersionsStatus", members{"Versions": []string{"1.0.0"}, "TargetStatus": "Unlisted"}, "FailedVersions"},
		{"UpdatePackageVersionsStatus", members{"Versions": []string{"9.9.9"}, "TargetStatus": "Unlisted"}, "SuccessfulVersions"},
		{"DisposePackageVersions", members{"Versions": []string{"1.0.0"}}, "FailedVersions"},
		{"DisposePackageVersions", members{"Versions": []string{"9.9.9"}}, "SuccessfulVersions"},
		{"DeletePackageVersions", members{"Versions": []string{"1.0.0"}}, "FailedVersions"},
		{"DeletePackageVersions", members{"Versions": []string{"9.9.9"}}, "SuccessfulVersions"},
		{"DeletePackage", nil, ""},
		{"PublishPackageVersion", genericTool, ""},

		{"DeletePackageGroup", nil, own},
		{"DeleteDomainPermissionsPolicy", nil, ""},
		{"DeleteRepositoryPermissionsPolicy", nil, ""},
		{"DisassociateExternalConnection", members{"Repository": "app", "ExternalConnection": public}, "Repository.ExternalConnections"},
		{"DeleteRepository", members{"Repository": "app"}, "Repository.ExternalConnections"},
		{"DeleteDomain", members{"Domain": "judged"}, fresh},
	}
}

// judged sets up what story begins with: @team/hello twice and @team/other in
// repo of corp.
func judged(h *house) {
	h.t.Helper()
	h.domain("corp")
	h.repo("repo")
	const manifest = `{"name":"@team/hello","version":"1.0.0","description":"says hello","homepage":"https://hello.test/","license":"MIT",
		"repository":{"type":"git","url":"git+https://git.test/hello.git"},"dependencies":{"@team/dep":"^1.0.0"}}`
	hello := artifact.Coordinates{Format: artifact.NPM, Namespace: "team", Name: "hello"}
	h.publish(hello, "1.0.0", manifest, "latest")
	h.publish(hello, "2.0.0", strings.Replace(manifest, "1.0.0", "2.0.0", 1))
	h.publish(artifact.Coordinates{Format: artifact.NPM, Namespace: "team", Name: "other"}, "1.0.0", `{"name":"@team/other","version":"1.0.0"}`)
}

// operations finds the SDK's operations by the form of their methods.
func operations() map[string]reflect.Method {
	found := map[string]reflect.Method{}
	client := reflect.TypeFor[*codeartifact.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && strings.HasSuffix(m.Type.In(2).String(), "."+m.Name+"Input") {
			found[m.Name] = m
		}
	}
	return found
}

// call makes the input of an operation from what is usual and what is not, and
// calls it.
func call(ctx context.Context, client *codeartifact.Client, operation string, changes ...members) (out reflect.Value, err error) {
	method := reflect.ValueOf(client).MethodByName(operation)
	in := reflect.New(method.Type().In(1).Elem())
	for _, set := range slices.Concat([]members{usual}, changes) {
		for name, value := range set {
			if f := in.Elem().FieldByName(name); f.IsValid() {
				assign(f, value)
			}
		}
	}
	answer := method.Call([]reflect.Value{reflect.ValueOf(ctx), in})
	err, _ = answer[1].Interface().(error)
	return answer[0], err
}

func assign(f reflect.Value, value any) {
	switch {
	case value == nil:
		f.SetZero()
	case f.Kind() == reflect.Interface:
		f.Set(reflect.ValueOf(strings.NewReader(value.(string)))) // a body has to be there anew for each call
	case f.Kind() == reflect.Pointer && reflect.TypeOf(value).Kind() != reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		f.Elem().Set(reflect.ValueOf(value).Convert(f.Type().Elem()))
	default:
		f.Set(reflect.ValueOf(value).Convert(f.Type()))
	}
}

// unset collects the paths of members without a value.
func unset(path string, v reflect.Value, into map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			into[path] = true
			return
		}
		if body, ok := v.Interface().(io.ReadCloser); ok {
			if n, err := io.Copy(io.Discard, body); err != nil || n == 0 || body.Close() != nil {
				into[path] = true
			}
			return
		}
		unset(path, v.Elem(), into)
	case reflect.Struct:
		for f, value := range v.Fields() {
			if f.IsExported() && f.Name != "ResultMetadata" {
				unset(strings.TrimPrefix(path+"."+f.Name, "."), value, into)
			}
		}
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			into[path] = true
			return
		}
		for _, value := range v.Seq2() {
			unset(path, value, into)
		}
	case reflect.Bool: // false is a value
	default:
		if v.IsZero() {
			into[path] = true
		}
	}
}

func TestJudge_AnswersHaveEveryMember(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		judged(h)
		waiting := operations()
		if diff := gocmp.Diff(slices.Sorted(maps.Keys(waiting)), slices.Sorted(maps.Keys(documented))); diff != "" {
			t.Fatalf("operations of the SDK that the judge does not know:\n%s", diff)
		}
		for _, s := range story() {
			delete(waiting, s.operation)
			out, err := call(t.Context(), h.Client, s.operation, s.in)
			if err != nil {
				t.Errorf("%s: %v", s.operation, err)
				continue
			}
			found := map[string]bool{}
			unset("", out, found)
			want := slices.Sorted(slices.Values(strings.Fields(s.lacks)))
			if diff := gocmp.Diff(want, slices.Sorted(maps.Keys(found)), gocmp.Transformer("empty", slices.Clone[[]string])); diff != "" {
				t.Errorf("%s: members without a value:\n%s", s.operation, diff)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			t.Errorf("%s is never called", name)
		}
	})
}

// evidence is what has been provoked: operation and error.
type evidence map[string]bool

// judge compares an error with what it has to be, and remembers it.
func (e evidence) judge(t *testing.T, operation, initials string, err error) {
	t.Helper()
	t.Run(operation+" "+initials, func(t *testing.T) {
		wantError(t, err, exceptions[initials].code, exceptions[initials].status)
		if _, plain := errors.AsType[*smithy.GenericAPIError](err); plain {
			t.Errorf("the SDK has no type for %v", err)
		}
	})
	e[operation+" "+initials] = true
}

// inputs are those of the story: the first of each operation.
func inputs() map[string]members {
	all := map[string]members{}
	for _, s := range story() {
		if _, ok := all[s.operation]; !ok {
			all[s.operation] = s.in
		}
	}
	return all
}

// provoked are errors that take a state or an input of their own. The house has
// low limits and the first half of the story behind it.
var provoked = []struct {
	operation, initials string
	in                  members
}{
	{"AssociateExternalConnection", "CF", members{"Repository": "app", "ExternalConnection": python}},
	{"CreateDomain", "CF", members{"Domain": "corp"}},
	{"CreateDomain", "SQ", members{"Domain": "one-too-many"}},
	{"CreatePackageGroup", "CF", nil},
	{"CreatePackageGroup", "SQ", members{"PackageGroup": "/npm/other/*", "Tags": []types.Tag{someTags[0], {Key: aws.String("b"), Value: aws.String("")}}}},
	{"CreateRepository", "CF", members{"Repository": "app"}},
	{"CreateRepository", "SQ", members{"Repository": "one-too-many"}},
	{"DeleteDomain", "CF", members{"Domain": "corp"}},
	{"DeleteDomainPermissionsPolicy", "CF", members{"PolicyRevision": "other"}},
	{"DeleteRepositoryPermissionsPolicy", "CF", members{"PolicyRevision": "other"}},
	{"GetPackageVersionAsset", "CF", members{"PackageVersion": "2.0.0"}},
	{"PublishPackageVersion", "CF", members{"AssetContent": "others", "AssetSHA256": hashOf("others")}},
	{"PublishPackageVersion", "SQ", members{"PackageVersion": "begun", "Unfinished": true, "AssetName": "second.bin"}},
	{"PutDomainPermissionsPolicy", "CF", members{"PolicyRevision": "other"}},
	{"PutRepositoryPermissionsPolicy", "CF", members{"PolicyRevision": "other"}},
	{"TagResource", "SQ", members{"Tags": []types.Tag{{Key: aws.String("a"), Value: aws.String("")}, {Key: aws.String("b"), Value: aws.String("")}}}},
	{"UpdateRepository", "SQ", members{"Upstreams": []types.UpstreamRepository{{RepositoryName: aws.String("app")}, {RepositoryName: aws.String("spare")}}}},
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// absent and odd are what is not there and what cannot be, in whichever member
// names the resource.
var (
	absent = members{"Domain": "nowhere", "ResourceArn": domainARN("nowhere")}
	odd    = members{"Domain": "Not_Valid", "ResourceArn": "nonsense", "MaxResults": 0}
)

// wreck takes every table of a database away.
func wreck(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var statements string
	const every = `SELECT group_concat('ALTER TABLE "' || name || '" RENAME TO "gone_' || name || '"', ';') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`
	if err := db.QueryRowContext(t.Context(), every).Scan(&statements); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

func TestJudge_EveryDocumentedError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	h := newHouse(t, "sqlite:"+file, limits(control.Limits{Domains: 2, Repositories: 3, Upstreams: 1, Tags: 1}),
		func(_ *control.Options, o *registry.Options) { o.MaxAssets = 1 })
	judged(h)
	h.repo("spare")
	nobody := h.user("nobody", statement("Allow", "iam:GetUser", "*"))
	seen, ins := evidence{}, inputs()
	for operation, list := range documented {
		for initials, with := range map[string]struct {
			client *codeartifact.Client
			in     members
		}{"AD": {nobody, nil}, "NF": {h.Client, absent}, "VA": {h.Client, odd}} {
			if _, excuse := excused[operation+" "+initials]; strings.Contains(list, initials) && !excuse {
				_, err := call(t.Context(), with.client, operation, ins[operation], with.in)
				seen.judge(t, operation, initials, err)
			}
		}
	}

	for _, s := range story() {
		if s.operation == "UpdatePackageVersionsStatus" {
			break
		}
		if _, err := call(t.Context(), h.Client, s.operation, s.in); err != nil {
			t.Errorf("%s: %v", s.operation, err)
		}
	}
	for _, with := range []step{
		{"DisposePackageVersions", members{"Versions": []string{"2.0.0"}}, ""},
		{"PublishPackageVersion", nil, ""},
		{"PublishPackageVersion", members{"PackageVersion": "begun", "Unfinished": true}, ""},
	} {
		if _, err := call(t.Context(), h.Client, with.operation, ins[with.operation], with.in); err != nil {
			t.Errorf("%s: %v", with.operation, err)
		}
	}
	for _, p := range provoked {
		_, err := call(t.Context(), h.Client, p.operation, ins[p.operation], p.in)
		seen.judge(t, p.operation, p.initials, err)
	}

	wreck(t, file)
	for operation, list := range documented {
		if strings.Contains(list, "IS") {
			_, err := call(t.Context(), h.Client, operation, ins[operation])
			seen.judge(t, operation, "IS", err)
		}
	}
	h.log.Reset() // failures are what was asked for

	for operation, list := range documented {
		for initials := range strings.FieldsSeq(list) {
			why := cmp.Or(excused[operation+" "+initials], excused[initials])
			switch done := seen[operation+" "+initials]; {
			case !done && why == "":
				t.Errorf("%s never fails with %s", operation, exceptions[initials].code)
			case done && why != "":
				t.Errorf("%s fails with %s, which was said to be impossible: %s", operation, exceptions[initials].code, why)
			}
		}
	}
}

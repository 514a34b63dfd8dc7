package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"packhouse/internal/control/api"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
	"packhouse/internal/sigv4"
)

// operation is a row whose Do notes its input and gives a filled output.
type operation struct {
	row     restjson.Row
	in, out reflect.Type
}

// recorder is what the operations of one test share.
type recorder struct {
	operations []operation
	got        any // the last *In
	full       bool
}

func row[In, Out any](rec *recorder, name, method, path string) {
	r := restjson.New(restjson.Op[In, Out]{
		Name: name, Method: method, Path: path,
		Access: func(*restjson.Call, *In) []restjson.Need { return nil },
		Do: func(_ context.Context, _ *restjson.Call, in *In) (*Out, error) {
			rec.got = in
			if f := reflect.ValueOf(in).Elem().FieldByName("AssetContent"); f.IsValid() {
				text, err := io.ReadAll(f.Interface().(io.Reader)) // before the server closes it
				if err != nil {
					return nil, err
				}
				f.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(text))))
			}
			out := new(Out)
			f := filler{full: rec.full}
			f.fill(reflect.ValueOf(out).Elem(), "")
			return out, nil
		},
	})
	rec.operations = append(rec.operations, operation{r, reflect.TypeFor[In](), reflect.TypeFor[Out]()})
}

// newRecorder lists every operation with its route (reference section 4).
func newRecorder() *recorder {
	rec := &recorder{}
	row[api.AssociateExternalConnectionInput, api.AssociateExternalConnectionOutput](rec, "AssociateExternalConnection", "POST", "/v1/repository/external-connection")
	row[api.CopyPackageVersionsInput, api.CopyPackageVersionsOutput](rec, "CopyPackageVersions", "POST", "/v1/package/versions/copy")
	row[api.CreateDomainInput, api.CreateDomainOutput](rec, "CreateDomain", "POST", "/v1/domain")
	row[api.CreatePackageGroupInput, api.CreatePackageGroupOutput](rec, "CreatePackageGroup", "POST", "/v1/package-group")
	row[api.CreateRepositoryInput, api.CreateRepositoryOutput](rec, "CreateRepository", "POST", "/v1/repository")
	row[api.DeleteDomainInput, api.DeleteDomainOutput](rec, "DeleteDomain", "DELETE", "/v1/domain")
	row[api.DeleteDomainPermissionsPolicyInput, api.DeleteDomainPermissionsPolicyOutput](rec, "DeleteDomainPermissionsPolicy", "DELETE", "/v1/domain/permissions/policy")
	row[api.DeletePackageInput, api.DeletePackageOutput](rec, "DeletePackage", "DELETE", "/v1/package")
	row[api.DeletePackageGroupInput, api.DeletePackageGroupOutput](rec, "DeletePackageGroup", "DELETE", "/v1/package-group")
	row[api.DeletePackageVersionsInput, api.DeletePackageVersionsOutput](rec, "DeletePackageVersions", "POST", "/v1/package/versions/delete")
	row[api.DeleteRepositoryInput, api.DeleteRepositoryOutput](rec, "DeleteRepository", "DELETE", "/v1/repository")
	row[api.DeleteRepositoryPermissionsPolicyInput, api.DeleteRepositoryPermissionsPolicyOutput](rec, "DeleteRepositoryPermissionsPolicy", "DELETE", "/v1/repository/permissions/policies")
	row[api.DescribeDomainInput, api.DescribeDomainOutput](rec, "DescribeDomain", "GET", "/v1/domain")
	row[api.DescribePackageInput, api.DescribePackageOutput](rec, "DescribePackage", "GET", "/v1/package")
	row[api.DescribePackageGroupInput, api.DescribePackageGroupOutput](rec, "DescribePackageGroup", "GET", "/v1/package-group")
	row[api.DescribePackageVersionInput, api.DescribePackageVersionOutput](rec, "DescribePackageVersion", "GET", "/v1/package/version")
	row[api.DescribeRepositoryInput, api.DescribeRepositoryOutput](rec, "DescribeRepository", "GET", "/v1/repository")
	row[api.DisassociateExternalConnectionInput, api.DisassociateExternalConnectionOutput](rec, "DisassociateExternalConnection", "DELETE", "/v1/repository/external-connection")
	row[api.DisposePackageVersionsInput, api.DisposePackageVersionsOutput](rec, "DisposePackageVersions", "POST", "/v1/package/versions/dispose")
	row[api.GetAssociatedPackageGroupInput, api.GetAssociatedPackageGroupOutput](rec, "GetAssociatedPackageGroup", "GET", "/v1/get-associated-package-group")
	row[api.GetAuthorizationTokenInput, api.GetAuthorizationTokenOutput](rec, "GetAuthorizationToken", "POST", "/v1/authorization-token")
	row[api.GetDomainPermissionsPolicyInput, api.GetDomainPermissionsPolicyOutput](rec, "GetDomainPermissionsPolicy", "GET", "/v1/domain/permissions/policy")
	row[api.GetPackageVersionAssetInput, api.GetPackageVersionAssetOutput](rec, "GetPackageVersionAsset", "GET", "/v1/package/version/asset")
	row[api.GetPackageVersionReadmeInput, api.GetPackageVersionReadmeOutput](rec, "GetPackageVersionReadme", "GET", "/v1/package/version/readme")
	row[api.GetRepositoryEndpointInput, api.GetRepositoryEndpointOutput](rec, "GetRepositoryEndpoint", "GET", "/v1/repository/endpoint")
	row[api.GetRepositoryPermissionsPolicyInput, api.GetRepositoryPermissionsPolicyOutput](rec, "GetRepositoryPermissionsPolicy", "GET", "/v1/repository/permissions/policy")
	row[api.ListAllowedRepositoriesForGroupInput, api.ListAllowedRepositoriesForGroupOutput](rec, "ListAllowedRepositoriesForGroup", "GET", "/v1/package-group-allowed-repositories")
	row[api.ListAssociatedPackagesInput, api.ListAssociatedPackagesOutput](rec, "ListAssociatedPackages", "GET", "/v1/list-associated-packages")
	row[api.ListDomainsInput, api.ListDomainsOutput](rec, "ListDomains", "POST", "/v1/domains")
	row[api.ListPackageGroupsInput, api.ListPackageGroupsOutput](rec, "ListPackageGroups", "POST", "/v1/package-groups")
	row[api.ListPackageVersionAssetsInput, api.ListPackageVersionAssetsOutput](rec, "ListPackageVersionAssets", "POST", "/v1/package/version/assets")
	row[api.ListPackageVersionDependenciesInput, api.ListPackageVersionDependenciesOutput](rec, "ListPackageVersionDependencies", "POST", "/v1/package/version/dependencies")
	row[api.ListPackageVersionsInput, api.ListPackageVersionsOutput](rec, "ListPackageVersions", "POST", "/v1/package/versions")
	row[api.ListPackagesInput, api.ListPackagesOutput](rec, "ListPackages", "POST", "/v1/packages")
	row[api.ListRepositoriesInput, api.ListRepositoriesOutput](rec, "ListRepositories", "POST", "/v1/repositories")
	row[api.ListRepositoriesInDomainInput, api.ListRepositoriesInDomainOutput](rec, "ListRepositoriesInDomain", "POST", "/v1/domain/repositories")
	row[api.ListSubPackageGroupsInput, api.ListSubPackageGroupsOutput](rec, "ListSubPackageGroups", "POST", "/v1/package-groups/sub-groups")
	row[api.ListTagsForResourceInput, api.ListTagsForResourceOutput](rec, "ListTagsForResource", "POST", "/v1/tags")
	row[api.PublishPackageVersionInput, api.PublishPackageVersionOutput](rec, "PublishPackageVersion", "POST", "/v1/package/version/publish")
	row[api.PutDomainPermissionsPolicyInput, api.PutDomainPermissionsPolicyOutput](rec, "PutDomainPermissionsPolicy", "PUT", "/v1/domain/permissions/policy")
	row[api.PutPackageOriginConfigurationInput, api.PutPackageOriginConfigurationOutput](rec, "PutPackageOriginConfiguration", "POST", "/v1/package")
	row[api.PutRepositoryPermissionsPolicyInput, api.PutRepositoryPermissionsPolicyOutput](rec, "PutRepositoryPermissionsPolicy", "PUT", "/v1/repository/permissions/policy")
	row[api.TagResourceInput, api.TagResourceOutput](rec, "TagResource", "POST", "/v1/tag")
	row[api.UntagResourceInput, api.UntagResourceOutput](rec, "UntagResource", "POST", "/v1/untag")
	row[api.UpdatePackageGroupInput, api.UpdatePackageGroupOutput](rec, "UpdatePackageGroup", "PUT", "/v1/package-group")
	row[api.UpdatePackageGroupOriginConfigurationInput, api.UpdatePackageGroupOriginConfigurationOutput](rec, "UpdatePackageGroupOriginConfiguration", "PUT", "/v1/package-group-origin-configuration")
	row[api.UpdatePackageVersionsStatusInput, api.UpdatePackageVersionsStatusOutput](rec, "UpdatePackageVersionsStatus", "POST", "/v1/package/versions/update_status")
	row[api.UpdateRepositoryInput, api.UpdateRepositoryOutput](rec, "UpdateRepository", "PUT", "/v1/repository")
	return rec
}

// sdkOperations finds the operations of the SDK's client by their signature.
func sdkOperations() map[string]reflect.Method {
	found := map[string]reflect.Method{}
	client := reflect.TypeFor[*codeartifact.Client]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && strings.HasSuffix(m.Type.In(2).String(), "."+m.Name+"Input") {
			found[m.Name] = m
		}
	}
	return found
}

func TestTypes_HaveEveryOperationAndFieldOfTheSDK(t *testing.T) {
	rec := newRecorder()
	missing := sdkOperations()
	if len(missing) < 48 {
		t.Fatalf("only %d operations found in the SDK", len(missing))
	}
	for _, op := range rec.operations {
		m, ok := missing[op.row.Name()]
		if !ok {
			t.Errorf("%s is not an operation of the SDK, or is listed twice", op.row.Name())
			continue
		}
		delete(missing, op.row.Name())
		compareFields(t, op.row.Name()+"Input", m.Type.In(2).Elem(), op.in, map[reflect.Type]bool{})
		compareFields(t, op.row.Name()+"Output", m.Type.Out(0).Elem(), op.out, map[reflect.Type]bool{})
	}
	for name := range missing {
		t.Errorf("%s has no types", name)
	}
}

func compareFields(t *testing.T, path string, sdk, ours reflect.Type, seen map[reflect.Type]bool) {
	sdk, ours = base(sdk), base(ours)
	if sdk.Kind() != reflect.Struct || seen[sdk] || sdk == reflect.TypeFor[time.Time]() {
		return
	}
	seen[sdk] = true
	for i := range sdk.NumField() {
		f := sdk.Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" {
			continue
		}
		o, ok := ours.FieldByName(f.Name)
		if !ok {
			t.Errorf("%s has no field %s", path, f.Name)
			continue
		}
		compareFields(t, path+"."+f.Name, f.Type, o.Type, seen)
	}
}

// base strips pointers, lists and maps.
func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// content is the body of every stream.
const content = "the bytes"

// filler sets fields to distinct values that satisfy their shapes: all of
// them, or the required ones.
type filler struct {
	full bool
	n    int
}

var samples = map[string]string{
	"AccountId": "111122223333", "DomainName": "dom", "PackageGroupPattern": "/npm/*", "Arn": "arn:aws:codeartifact:r:1:domain/d",
}

func (f *filler) fill(v reflect.Value, shape string) {
	f.n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), shape)
	case reflect.String:
		s := api.Shapes()[shape]
		switch {
		case len(s.Enum) > 0:
			v.SetString(s.Enum[f.n%len(s.Enum)])
		case samples[shape] != "":
			v.SetString(samples[shape])
		case shape == "RepositoryName":
			v.SetString(fmt.Sprintf("repo-%d", f.n))
		case strings.HasPrefix(shape, "Package"), shape == "AssetName":
			v.SetString(fmt.Sprintf("né+w&=%d", f.n))
		default:
			v.SetString(fmt.Sprintf("v%d", f.n))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(100 + f.n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), api.Shapes()[shape].Member)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, api.Shapes()[shape].Key)
		f.fill(value, api.Shapes()[shape].Member)
		v.SetMapIndex(key, value)
	case reflect.Interface:
		v.Set(reflect.ValueOf(io.NopCloser(strings.NewReader(content))))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[restjson.Time]() {
			v.Set(reflect.ValueOf(restjson.Time{Time: time.UnixMilli(1_700_000_000_125 + int64(f.n)).UTC()}))
			return
		}
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			if sf.Name == "ContentLength" {
				continue
			}
			// An output without its required members would not be one.
			optional := sf.Tag.Get("required") == "" && sf.Tag.Get("body") == ""
			if f.full || !optional {
				f.fill(v.Field(i), sf.Tag.Get("validate"))
			}
		}
	}
}

// plain turns a value of either side into maps by Go field name, so that the
// SDK's types and ours can be compared. Absent members and empty ones are
// both left out.
func plain(t *testing.T, v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if r, ok := v.Interface().(io.Reader); ok {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		return plain(t, v.Elem())
	case reflect.String:
		if v.String() == "" {
			return nil
		}
		return v.String()
	case reflect.Bool:
		if !v.Bool() {
			return nil
		}
		return true
	case reflect.Int32, reflect.Int64:
		if v.Int() == 0 {
			return nil
		}
		return v.Int()
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(t, v.Index(i))
		}
		return list
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(t, it.Value())
		}
		return m
	case reflect.Struct:
		switch x := v.Interface().(type) {
		case restjson.Time:
			return x.UTC().Format(time.RFC3339Nano)
		case time.Time:
			return x.UTC().Format(time.RFC3339Nano)
		}
		m := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" || f.Name == "ContentLength" {
				continue
			}
			if x := plain(t, v.Field(i)); x != nil {
				m[f.Name] = x
			}
		}
		return m
	}
	t.Fatalf("no plain form of %s", v.Type())
	return nil
}

// assign copies a value of ours into one of the SDK's by field name.
func assign(t *testing.T, dst, src reflect.Value) {
	switch dst.Kind() {
	case reflect.Pointer:
		if src.Kind() == reflect.Pointer {
			if src.IsNil() {
				return
			}
			src = src.Elem()
		} else if src.IsZero() {
			return
		}
		dst.Set(reflect.New(dst.Type().Elem()))
		assign(t, dst.Elem(), src)
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64:
		dst.Set(src.Convert(dst.Type()))
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			assign(t, dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeMap(dst.Type()))
		for it := src.MapRange(); it.Next(); {
			value := reflect.New(dst.Type().Elem()).Elem()
			assign(t, value, it.Value())
			dst.SetMapIndex(it.Key().Convert(dst.Type().Key()), value)
		}
	case reflect.Interface:
		dst.Set(reflect.ValueOf(strings.NewReader(content)))
	case reflect.Struct:
		for i := range dst.NumField() {
			if f := dst.Type().Field(i); f.IsExported() {
				assign(t, dst.Field(i), src.FieldByName(f.Name))
			}
		}
	default:
		t.Fatalf("cannot assign a %s", dst.Type())
	}
}

// leaveOurs clears the members that the SDK's type has not: what is added here,
// no client of AWS sends or reads.
func leaveOurs(v reflect.Value, sdk reflect.Type) {
	sdk = base(sdk)
	switch v.Kind() {
	case reflect.Pointer:
		leaveOurs(v.Elem(), sdk)
	case reflect.Slice:
		for i := range v.Len() {
			leaveOurs(v.Index(i), sdk)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			held := reflect.New(v.Type().Elem()).Elem()
			held.Set(it.Value())
			leaveOurs(held, sdk)
			v.SetMapIndex(it.Key(), held)
		}
	case reflect.Struct:
		if sdk.Kind() != reflect.Struct || sdk == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f, ok := sdk.FieldByName(v.Type().Field(i).Name); ok {
				leaveOurs(v.Field(i), f.Type)
			} else {
				v.Field(i).SetZero()
			}
		}
	}
}

// authenticate verifies the signature of the client made by serve.
func authenticate(r *http.Request, limit int64, streaming bool) (any, io.Reader, error) {
	c, err := sigv4.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := sigv4.Open(r, c, "SK", sigv4.Payload{Limit: limit, Streaming: streaming}, time.Now())
	return c.AccessKeyID, body, err
}

// serve starts the operations and gives a client that signs for them.
func serve(t *testing.T, rec *recorder) *codeartifact.Client {
	rows := make([]restjson.Row, len(rec.operations))
	for i, op := range rec.operations {
		rows[i] = op.row
	}
	s := httptest.NewServer(restjson.NewHandler(rows, restjson.Config{
		Authenticate: authenticate,
		Authorize:    func(context.Context, *restjson.Call, []restjson.Need) error { return nil },
		Shapes:       api.Shapes(),
	}))
	t.Cleanup(s.Close)
	return codeartifact.New(codeartifact.Options{
		BaseEndpoint: &s.URL, Region: "eu-central-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}, nil
		}),
	})
}

func TestWire_SDKAndTypesUnderstandEachOther(t *testing.T) {
	rec := newRecorder()
	client := serve(t, rec)
	for _, full := range []bool{true, false} {
		for _, op := range rec.operations {
			t.Run(fmt.Sprintf("%s full=%v", op.row.Name(), full), func(t *testing.T) {
				want := reflect.New(op.in)
				f := filler{full: full}
				f.fill(want.Elem(), "")
				if f := want.Elem().FieldByName("AssetSHA256"); f.IsValid() {
					f.SetString(fmt.Sprintf("%x", sha256.Sum256([]byte(content))))
				}
				m := reflect.ValueOf(client).MethodByName(op.row.Name())
				leaveOurs(want.Elem(), m.Type().In(1).Elem())
				in := reflect.New(m.Type().In(1).Elem())
				assign(t, in.Elem(), want.Elem())

				rec.got, rec.full = nil, full
				answer := m.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
				if err, _ := answer[1].Interface().(error); err != nil {
					t.Fatal(err)
				}
				if rec.got == nil {
					t.Fatal("the operation was not called")
				}
				if d := cmp.Diff(plain(t, want), plain(t, reflect.ValueOf(rec.got))); d != "" {
					t.Errorf("input (-sent +received):\n%s", d)
				}

				out := reflect.New(op.out)
				g := filler{full: full}
				g.fill(out.Elem(), "")
				leaveOurs(out.Elem(), m.Type().Out(0).Elem())
				if d := cmp.Diff(plain(t, out), plain(t, answer[0])); d != "" {
					t.Errorf("output (-sent +received):\n%s", d)
				}
			})
		}
	}
}

func TestUpdateRepository_AbsentDiffersFromEmpty(t *testing.T) {
	rec := newRecorder()
	client := serve(t, rec)
	for _, c := range []struct {
		name        string
		description *string
		upstreams   []types.UpstreamRepository
		want        api.UpdateRepositoryInput
	}{
		{"absent", nil, nil, api.UpdateRepositoryInput{}},
		{"empty", aws.String(""), []types.UpstreamRepository{}, api.UpdateRepositoryInput{Description: aws.String(""), Upstreams: []api.UpstreamRepository{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.UpdateRepository(t.Context(), &codeartifact.UpdateRepositoryInput{
				Domain: aws.String("dom"), Repository: aws.String("repo"), Description: c.description, Upstreams: c.upstreams,
			})
			if err != nil {
				t.Fatal(err)
			}
			c.want.Domain, c.want.Repository = "dom", "repo"
			if d := cmp.Diff(&c.want, rec.got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestErrors_TheSDKReadsThemTyped(t *testing.T) {
	fail := func(err error) error {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { restjson.WriteError(w, "req-1", err) }))
		defer s.Close()
		client := codeartifact.New(codeartifact.Options{
			BaseEndpoint: &s.URL, Region: "r", Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}, nil
			}),
		})
		_, got := client.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("d"), Repository: aws.String("r")})
		return got
	}
	if e, ok := errors.AsType[*types.ResourceNotFoundException](fail(fault.About(fault.NotFound, "repository", "repo", "gone"))); !ok ||
		*e.Message != "gone" || *e.ResourceId != "repo" || e.ResourceType != types.ResourceTypeRepository {
		t.Errorf("not found: got %+v", e)
	}
	if e, ok := errors.AsType[*types.ThrottlingException](fail(&fault.Error{Kind: fault.Throttled, Message: "slow", RetryAfter: 3 * time.Second})); !ok || *e.RetryAfterSeconds != 3 {
		t.Errorf("throttled: got %+v", e)
	}
	if e, ok := errors.AsType[*types.ServiceQuotaExceededException](fail(fault.About(fault.Quota, "domain", "d", "full"))); !ok || *e.ResourceId != "d" {
		t.Errorf("quota: got %+v", e)
	}
	if e, ok := errors.AsType[smithy.APIError](fail(sigv4.UnknownKey())); !ok || e.ErrorCode() != sigv4.CodeUnknown {
		t.Errorf("unknown key: got %+v", e)
	}
}

package control_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"packhouse/internal/access"
	"packhouse/internal/artifact"
	"packhouse/internal/blob"
	"packhouse/internal/blob/memblob"
	"packhouse/internal/catalog"
	"packhouse/internal/catalog/pgtest"
	"packhouse/internal/control"
	"packhouse/internal/fault"
	"packhouse/internal/format/generic"
	"packhouse/internal/format/npm"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
	"packhouse/internal/registry"
	"packhouse/internal/upstream"
)

const (
	region  = "eu-central-1"
	account = "123456789012"
	other   = "210987654321"
	public  = "public:npmjs"
	python  = "public:pypi"
)

// house is a running API over an empty catalog, with an administrator in each
// of two accounts.
type house struct {
	*codeartifact.Client // of account's administrator
	foreign              *codeartifact.Client

	t        *testing.T
	db       *catalog.DB
	registry *registry.Service
	ids      *identity.Service
	api      *control.API
	url      string
	key      identity.NewKey
	log      *bytes.Buffer // what the API logs: failures of ours
}

type setting func(*control.Options, *registry.Options)

// limits sets the quotas.
func limits(l control.Limits) setting {
	return func(o *control.Options, _ *registry.Options) { o.Limits = l }
}

// remote makes the public npm connection lead to url.
func remote(url string) setting {
	return func(_ *control.Options, o *registry.Options) {
		o.Connections[public] = artifact.Connection{Name: public, Format: artifact.NPM, URL: url}
	}
}

func newHouse(t *testing.T, dsn string, settings ...setting) *house {
	t.Helper()
	h := &house{t: t, log: &bytes.Buffer{}}
	var err error
	if h.db, err = catalog.Open(t.Context(), dsn, catalog.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.db.Close(); err != nil {
			t.Error(err)
		}
	})
	h.ids = identity.New(h.db, identity.Options{Region: region})
	checker := access.New(h.db)
	options := control.Options{
		DB: h.db, Identity: h.ids, Checker: checker, Region: region, Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	storage := registry.Options{
		Region: region, RenderDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Connections: map[string]artifact.Connection{
			public: {Name: public, Format: artifact.NPM, URL: "http://127.0.0.1:1/"},
			python: {Name: python, Format: artifact.PyPI, URL: "http://127.0.0.1:1/"},
		},
		Get: func(artifact.Connection) upstream.Get { return get },
	}
	for _, s := range settings {
		s(&options, &storage)
	}
	h.registry, err = registry.New(h.db, memblob.New(blob.Limits{MaxBytes: storage.MaxAssetBytes}), checker, []registry.Ecosystem{npm.New(), generic.New()}, storage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.registry.Close)
	options.Registry = h.registry
	h.api = control.New(options)
	server := httptest.NewServer(h.api.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if h.log.Len() > 0 {
			t.Errorf("the API logged failures:\n%s", h.log)
		}
	})
	h.url = server.URL
	h.Client, h.key = h.bootstrap(account)
	h.foreign, _ = h.bootstrap(other)
	return h
}

// each runs a test on a house over each engine.
func each(t *testing.T, test func(t *testing.T, h *house), settings ...setting) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
			if engine == "postgres" {
				dsn = pgtest.NewDatabase(t)
			}
			test(t, newHouse(t, dsn, settings...))
		})
	}
}

// lite is a house over SQLite alone, for what the engine has no part in.
func lite(t *testing.T, settings ...setting) *house {
	t.Helper()
	return newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), settings...)
}

func get(ctx context.Context, url string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Upstream, err, "unreachable")
	}
	if res.StatusCode == http.StatusNotFound {
		_ = res.Body.Close()
		return nil, fault.New(fault.NotFound, "not there")
	}
	if res.StatusCode/100 != 2 && res.StatusCode != http.StatusNotModified {
		_ = res.Body.Close()
		return nil, fault.New(fault.Upstream, "answered %d", res.StatusCode)
	}
	return res, nil
}

func (h *house) client(id string, secret catalog.Secret) *codeartifact.Client {
	return codeartifact.New(codeartifact.Options{
		BaseEndpoint: &h.url, Region: region, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(id, string(secret), ""),
	})
}

func (h *house) bootstrap(account string) (*codeartifact.Client, identity.NewKey) {
	h.t.Helper()
	key, err := h.ids.Bootstrap(h.t.Context(), account)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.client(key.ID, key.Secret), *key
}

func (h *house) update(fn func(*catalog.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// user makes a user of the first account who may do what the statements say.
func (h *house) user(name string, statements ...string) *codeartifact.Client {
	h.t.Helper()
	key := catalog.AccessKey{
		ID: fmt.Sprintf("AKIA%016s", name), Account: account, UserName: name, Secret: "secret", Status: catalog.KeyActive,
	}
	h.update(func(tx *catalog.Tx) error {
		if err := tx.InsertUser(catalog.User{Account: account, Name: name, Path: "/", ID: "AIDA" + account[:3] + name}); err != nil {
			return err
		}
		if err := tx.InsertAccessKey(key); err != nil {
			return err
		}
		return tx.PutIdentityPolicy(catalog.IdentityPolicy{
			Account: account, PrincipalKind: catalog.PrincipalUser, PrincipalName: name, PolicyName: "inline", Document: document(statements...),
		})
	})
	return h.client(key.ID, key.Secret)
}

// document makes a policy of statements, each "Effect action resource".
func document(statements ...string) string {
	doc := struct {
		Version   string
		Statement []json.RawMessage
	}{Version: "2012-10-17"}
	for _, s := range statements {
		doc.Statement = append(doc.Statement, json.RawMessage(s))
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	if _, err := policy.Parse(text); err != nil {
		panic(err)
	}
	return string(text)
}

func statement(effect, action, resource string) string {
	return fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q}`, effect, action, resource)
}

// protect puts a policy on a resource.
func (h *house) protect(kind, arn string, statements ...string) {
	h.t.Helper()
	h.update(func(tx *catalog.Tx) error {
		_, err := tx.PutResourcePolicy(catalog.ResourcePolicy{ResourceARN: arn, Kind: kind, Document: document(statements...)})
		return err
	})
}

func domainARN(name string) string {
	return "arn:aws:codeartifact:" + region + ":" + account + ":domain/" + name
}

func repositoryARN(name string) string {
	return "arn:aws:codeartifact:" + region + ":" + account + ":repository/corp/" + name
}

// must gives the answer of a call that has to succeed.
func must[Out any](t *testing.T) func(*Out, error) *Out {
	t.Helper()
	return func(out *Out, err error) *Out {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// wantError checks the exception and its status.
func wantError(t *testing.T, err error, code string, status int) {
	t.Helper()
	var e smithy.APIError
	var r *smithyhttp.ResponseError
	if !errors.As(err, &e) || !errors.As(err, &r) {
		t.Errorf("got error %v, want %s", err, code)
		return
	}
	if e.ErrorCode() != code || r.HTTPStatusCode() != status {
		t.Errorf("got %s (%d): %s; want %s (%d)", e.ErrorCode(), r.HTTPStatusCode(), e.ErrorMessage(), code, status)
	}
	if e.ErrorMessage() == "" {
		t.Error("the error has no message")
	}
}

const (
	notFound = "ResourceNotFoundException"
	conflict = "ConflictException"
	invalid  = "ValidationException"
	denied   = "AccessDeniedException"
	quota    = "ServiceQuotaExceededException"
)

func wantNotFound(t *testing.T, err error, kind types.ResourceType, id string) {
	t.Helper()
	wantError(t, err, notFound, 404)
	var e *types.ResourceNotFoundException
	if errors.As(err, &e) && (e.ResourceType != kind || aws.ToString(e.ResourceId) != id) {
		t.Errorf("the error is about %s %s, want %s %s", e.ResourceType, aws.ToString(e.ResourceId), kind, id)
	}
}

func wantConflict(t *testing.T, err error, kind types.ResourceType, id string) {
	t.Helper()
	wantError(t, err, conflict, 409)
	var e *types.ConflictException
	if errors.As(err, &e) && (e.ResourceType != kind || aws.ToString(e.ResourceId) != id) {
		t.Errorf("the error is about %s %s, want %s %s", e.ResourceType, aws.ToString(e.ResourceId), kind, id)
	}
}

func (h *house) domain(name string) {
	h.t.Helper()
	if _, err := h.CreateDomain(h.t.Context(), &codeartifact.CreateDomainInput{Domain: &name}); err != nil {
		h.t.Fatal(err)
	}
}

// repo makes a repository in the domain "corp".
func (h *house) repo(name string, upstreams ...string) {
	h.t.Helper()
	in := &codeartifact.CreateRepositoryInput{Domain: aws.String("corp"), Repository: &name}
	for _, u := range upstreams {
		in.Upstreams = append(in.Upstreams, types.UpstreamRepository{RepositoryName: aws.String(u)})
	}
	if _, err := h.CreateRepository(h.t.Context(), in); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) open(repository string) *registry.Repo {
	h.t.Helper()
	admin, err := h.ids.UserCaller(h.t.Context(), account, "admin", identity.Facts{})
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.registry.Open(h.t.Context(), admin, artifact.RepositoryID{Owner: account, Domain: "corp", Name: repository})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// publish puts a version with a tarball that has a readme into the repository
// "repo" of "corp".
func (h *house) publish(c artifact.Coordinates, version, manifest string, tags ...string) {
	h.t.Helper()
	var tgz bytes.Buffer
	z := gzip.NewWriter(&tgz)
	w := tar.NewWriter(z)
	readme := "# " + c.Name + " " + version
	if err := w.WriteHeader(&tar.Header{Name: "package/README.md", Mode: 0o644, Size: int64(len(readme))}); err != nil {
		h.t.Fatal(err)
	}
	_, err := io.WriteString(w, readme)
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		h.t.Fatal(err)
	}
	r := h.open("repo")
	staged, err := r.Stage(h.t.Context(), c, "package.tgz", &tgz)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = r.Publish(h.t.Context(), c, registry.Publication{Version: version, Manifest: []byte(manifest), Assets: []registry.Staged{staged}, Tags: tags})
	if err != nil {
		h.t.Fatal(err)
	}
}

func npmName(name string) artifact.Coordinates {
	return artifact.Coordinates{Format: artifact.NPM, Name: name}
}

package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"packhouse/internal/awsjson"
	"packhouse/internal/restjson"
)

const (
	defaultEndpoint = "http://127.0.0.1:8470"
	defaultRegion   = "us-east-1"
	defaultData     = "packhouse-data"
	maxAnswer       = 64 << 20 // bytes of an answer that is not a stream
	attempts        = 3
)

// apiClient calls one service.
type apiClient struct {
	service     Service
	http        doer
	endpoint    *url.URL
	region      string
	credentials aws.Credentials
	agent       string
	now         func() time.Time
}

// doer is what sends requests: the AWS SDK's client, which knows AWS_CA_BUNDLE,
// or a plain one.
type doer interface {
	Do(req *http.Request) (*http.Response, error)
}

// callError is a failed call, in the words of the AWS CLI.
type callError struct {
	Code, Operation, Message string
	Status                   int
}

func (e *callError) Error() string {
	return fmt.Sprintf("An error occurred (%s) when calling the %s operation: %s", e.Code, e.Operation, e.Message)
}

// dial finds endpoint, region and credentials as the AWS CLI does: flags,
// environment, shared files. When none of them has credentials, those that a
// server in this folder left are taken.
func dial(ctx context.Context, env *Env, flags clientFlags, s Service) (*apiClient, error) {
	return dialAs(ctx, env, flags, s, false)
}

// dialAs is dial; without credentials for operations that need none.
func dialAs(ctx context.Context, env *Env, flags clientFlags, s Service, nobody bool) (*apiClient, error) {
	options := []loadOption{
		awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled), // no waiting for a service that is not there
	}
	if flags.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(flags.Profile))
	}
	if flags.Region != "" {
		options = append(options, awsconfig.WithRegion(flags.Region))
	}
	options, err := sessions(ctx, flags, s, options)
	if err != nil {
		return nil, usageError{err}
	}
	cfg, err := loadConfig(ctx, options...)
	if err != nil {
		return nil, usageError{err}
	}
	var found aws.Credentials
	if !nobody {
		if found, err = credentials(ctx, env, cfg, flags); err != nil {
			return nil, err
		}
	}
	region := cfg.Region
	if region == "" {
		region = defaultRegion
	}
	c, err := newAPIClient(env, s, endpointOf(ctx, cfg, flags, s), region, found)
	if err == nil && env.HTTP == nil && cfg.HTTPClient != nil {
		c.http = cfg.HTTPClient
	}
	return c, err
}

func newAPIClient(env *Env, s Service, endpoint, region string, key aws.Credentials) (*apiClient, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, usagef("endpoint %q is not a URL", endpoint)
	}
	return &apiClient{
		service: s, http: env.client(), endpoint: u, region: region, credentials: key,
		agent: "packhouse/" + env.Version, now: time.Now,
	}, nil
}

// as is the client with other credentials.
func (c *apiClient) as(key aws.Credentials) *apiClient {
	other := *c
	other.credentials = key
	return &other
}

func endpointOf(ctx context.Context, cfg aws.Config, flags clientFlags, s Service) string {
	if flags.EndpointURL != "" {
		return flags.EndpointURL
	}
	for _, source := range cfg.ConfigSources { // the environment, then the files
		if of, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, sdkID string) (string, bool, error)
		}); ok {
			if text, found, err := of.GetServiceBaseEndpoint(ctx, s.ID); err == nil && found {
				return text
			}
		}
	}
	if cfg.BaseEndpoint != nil {
		return *cfg.BaseEndpoint
	}
	return defaultEndpoint
}

func credentials(ctx context.Context, env *Env, cfg aws.Config, flags clientFlags) (aws.Credentials, error) {
	if cfg.Credentials != nil {
		found, err := cfg.Credentials.Retrieve(ctx)
		if err == nil {
			return found, nil
		}
		if flags.Profile != "" {
			return found, fmt.Errorf("credentials of profile %s: %w", flags.Profile, err)
		}
		if sessionRefused(env, err) {
			return found, fmt.Errorf("credentials of a role: %w", err)
		}
	}
	path := localCredentials(env)
	if !exists(path) {
		return aws.Credentials{}, errors.New("unable to locate credentials; set AWS_SHARED_CREDENTIALS_FILE to the file the server wrote (DATA/credentials), AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	local, err := profileKey(ctx, path, defaultProfile)
	if err != nil {
		return aws.Credentials{}, err
	}
	fmt.Fprintf(env.Stderr, "packhouse: using the credentials in %s\n", path)
	return local, nil
}

// localCredentials is the file that a server in this folder leaves.
func localCredentials(env *Env) string {
	return filepath.Join(cmp.Or(env.getenv("PACKHOUSE_DATA"), defaultData), "credentials")
}

// call runs one operation and gives the decoded answer.
func (c *apiClient) call(ctx context.Context, row restjson.Row, in input, body io.ReadSeeker) (*object, error) {
	resp, err := c.do(ctx, row, in, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if c.service.Query != "" {
		return decodeXML(data, row)
	}
	v, err := decodeJSON(data)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s is not JSON: %w", c.endpoint, err)
	}
	out, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("the answer of %s is not a JSON object", c.endpoint)
	}
	return out, nil
}

// download writes the stream of an answer to a file and gives its headers.
func (c *apiClient) download(ctx context.Context, row restjson.Row, in input, path string) (*object, error) {
	resp, err := c.do(ctx, row, in, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := save(path, resp.Body); err != nil {
		return nil, err
	}
	out := &object{}
	for _, f := range row.OutputFields() {
		if value := resp.Header.Get(f.Wire); f.In == "header" && value != "" {
			out.set(f.Member(), value)
		}
	}
	return out, nil
}

// save writes a file that appears whole or not at all. A device, as in
// /dev/stdout, is written to directly.
func save(path string, body io.Reader) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, body)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".packhouse-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("download to %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// do sends a request, again when the server asks for it, and gives a good
// answer or a callError.
func (c *apiClient) do(ctx context.Context, row restjson.Row, in input, body io.ReadSeeker) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		req, err := c.request(ctx, row, in, body)
		if err != nil {
			return nil, err
		}
		resp, err := c.http.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("could not connect to the endpoint URL %q: %w\nis the server running? packhouse serve", c.endpoint, err)
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		failure := readError(resp, row.Name())
		wait := retryAfter(resp)
		if wait == 0 || attempt == attempts {
			return nil, failure
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if body != nil {
			if _, err := body.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
		}
	}
}

// retryAfter is how long to wait before asking again; 0 is never.
func retryAfter(resp *http.Response) time.Duration {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil {
		seconds = 1
	}
	return time.Duration(min(max(seconds, 0), 10))*time.Second + 10*time.Millisecond
}

func readError(resp *http.Response, operation string) error {
	defer resp.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what could be read is shown
	var body struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	e := &callError{Operation: operation, Status: resp.StatusCode}
	if json.Unmarshal(data, &body) == nil {
		e.Message = body.Message
	} else if code, message, ok := xmlError(data); ok {
		body.Code, e.Message = code, message
	}
	for _, code := range []string{resp.Header.Get("X-Amzn-Errortype"), body.Type, body.Code, strconv.Itoa(resp.StatusCode)} {
		code, _, _ = strings.Cut(code, ":")
		if _, after, ok := strings.Cut(code, "#"); ok {
			code = after
		}
		if code != "" {
			e.Code = code
			break
		}
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	return e
}

// request makes and signs a request.
func (c *apiClient) request(ctx context.Context, row restjson.Row, in input, body io.ReadSeeker) (*http.Request, error) {
	target := *c.endpoint
	var send io.Reader
	var size int64
	hash := sha256.New()
	header := http.Header{}
	switch {
	case c.service.Query != "":
		text := encodeForm(row, c.service.Query, in)
		send, size = strings.NewReader(text), int64(len(text))
		hash.Write([]byte(text))
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		target.Path = strings.TrimRight(target.Path, "/") + "/"
	default:
		target.Path = strings.TrimRight(target.Path, "/") + row.Path()
		query, members := url.Values{}, map[string]any{}
		hasJSON := false
		for _, f := range row.Fields() {
			hasJSON = hasJSON || f.In == "json"
			v, ok := in[f.Name]
			if !ok {
				continue
			}
			switch f.In {
			case "query":
				query.Set(f.Wire, fmt.Sprint(v))
			case "header":
				header.Set(f.Wire, fmt.Sprint(v))
			case "json":
				members[f.Wire] = v
			}
		}
		target.RawQuery = query.Encode()
		switch {
		case body != nil:
			n, err := io.Copy(hash, body)
			if err != nil {
				return nil, err
			}
			if _, err := body.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
			send, size = io.NopCloser(body), n
			header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash.Sum(nil)))
		case hasJSON, c.service.Target != "":
			text, err := json.Marshal(members)
			if err != nil {
				return nil, err
			}
			hash.Write(text)
			send, size = bytes.NewReader(text), int64(len(text))
			header.Set("Content-Type", "application/json")
			if c.service.Target != "" {
				header.Set("Content-Type", "application/x-amz-json-1.1")
				header.Set(awsjson.TargetHeader, c.service.Target+"."+row.Name())
			}
		}
	}
	method := row.Method()
	if c.service.Query != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), send)
	if err != nil {
		return nil, usageError{err}
	}
	req.ContentLength = size
	req.Header = header
	req.Header.Set("User-Agent", c.agent)
	if row.Unsigned() {
		return req, nil
	}
	return req, v4.NewSigner().SignHTTP(ctx, c.credentials, req, hex.EncodeToString(hash.Sum(nil)), c.service.Name, c.region, c.now())
}

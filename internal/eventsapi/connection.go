package eventsapi

import (
	"cmp"
	"context"
	"slices"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const maxConnections = 1000 // of an account

// How a connection makes itself known.
const (
	basic  = "BASIC"
	apiKey = "API_KEY"
	oauth  = "OAUTH_CLIENT_CREDENTIALS"
)

// authorized is the state of every connection: nothing has to be fetched first.
const authorized = "AUTHORIZED"

func (a *API) connectionRows() []restjson.Row {
	return []restjson.Row{
		op(a, "CreateConnection", "keep credentials for api-destinations", a.createConnection),
		op(a, "DescribeConnection", "describe a connection, without its secrets", a.describeConnection),
		op(a, "ListConnections", "list the connections of the account", a.listConnections),
		op(a, "UpdateConnection", "change a connection", a.updateConnection),
		op(a, "DeleteConnection", "remove a connection", a.deleteConnection),
	}
}

// Secrets have a type that no log, access record or complaint shows.

// BasicAuth is a user and password.
type BasicAuth struct {
	Username string         `json:"Username" validate:"AuthHeader"`
	Password catalog.Secret `json:"Password" validate:"AuthSecret"`
}

// APIKeyAuth is a header.
type APIKeyAuth struct {
	ApiKeyName  string         `json:"ApiKeyName" validate:"AuthHeader"`
	ApiKeyValue catalog.Secret `json:"ApiKeyValue" validate:"AuthSecret"`
}

// HeaderParameter is a header of every request.
type HeaderParameter struct {
	Key           string         `json:"Key" validate:"HeaderKey"`
	Value         catalog.Secret `json:"Value" validate:"HeaderValue"`
	IsValueSecret bool           `json:"IsValueSecret"`
}

// QueryParameter is a query parameter of every request.
type QueryParameter struct {
	Key           string         `json:"Key" validate:"QueryKey"`
	Value         catalog.Secret `json:"Value" validate:"QueryValue"`
	IsValueSecret bool           `json:"IsValueSecret"`
}

// BodyParameter is a member of the body of every request.
type BodyParameter struct {
	Key           string         `json:"Key" validate:"BodyKey"`
	Value         catalog.Secret `json:"Value" validate:"BodyValue"`
	IsValueSecret bool           `json:"IsValueSecret"`
}

// InvocationParameters go with every request.
type InvocationParameters struct {
	HeaderParameters      []HeaderParameter `json:"HeaderParameters" validate:"Parameters"`
	QueryStringParameters []QueryParameter  `json:"QueryStringParameters" validate:"Parameters"`
	BodyParameters        []BodyParameter   `json:"BodyParameters" validate:"Parameters"`
}

// OAuth would be credentials for a token service.
type OAuth struct {
	AuthorizationEndpoint string `json:"AuthorizationEndpoint"`
}

// AuthParameters are the credentials of a connection.
type AuthParameters struct {
	BasicAuthParameters      *BasicAuth            `json:"BasicAuthParameters"`
	ApiKeyAuthParameters     *APIKeyAuth           `json:"ApiKeyAuthParameters"`
	OAuthParameters          *OAuth                `json:"OAuthParameters"`
	InvocationHttpParameters *InvocationParameters `json:"InvocationHttpParameters"`
}

// CreateConnectionInput is a connection.
type CreateConnectionInput struct {
	Name              string          `json:"Name" required:"true" validate:"Name"`
	Description       string          `json:"Description" validate:"Description"`
	AuthorizationType string          `json:"AuthorizationType" required:"true" validate:"AuthType"`
	AuthParameters    *AuthParameters `json:"AuthParameters" required:"true"`
}

func (in *CreateConnectionInput) resource(region, account string) string {
	return event.ConnectionARN(region, account, event.Name{Name: in.Name})
}

// apply puts parameters into a connection: what is not given stays.
func (p *AuthParameters) apply(c *catalog.EventConnection) error {
	if p == nil {
		p = &AuthParameters{}
	}
	switch b, k := p.BasicAuthParameters, p.ApiKeyAuthParameters; {
	case c.Kind == oauth || p.OAuthParameters != nil:
		return fault.New(fault.Invalid, "AuthorizationType %s is not supported: use %s or %s", oauth, basic, apiKey)
	case c.Kind == basic && k != nil, c.Kind == apiKey && b != nil:
		return fault.New(fault.Invalid, "AuthParameters are not those of AuthorizationType %s", c.Kind)
	case b != nil:
		c.Settings.User, c.Secret.Password = cmp.Or(b.Username, c.Settings.User), cmp.Or(b.Password, c.Secret.Password)
	case k != nil:
		c.Settings.Header, c.Secret.Password = cmp.Or(k.ApiKeyName, c.Settings.Header), cmp.Or(k.ApiKeyValue, c.Secret.Password)
	}
	if c.Kind == basic && c.Settings.User == "" || c.Kind == apiKey && c.Settings.Header == "" || c.Secret.Password == "" {
		return fault.New(fault.Invalid, "AuthParameters lack what AuthorizationType %s needs", c.Kind)
	}
	if c.Kind == apiKey && !isHeader(c.Settings.Header) {
		return fault.New(fault.Invalid, "ApiKeyName is not the name of a header")
	}
	if p.InvocationHttpParameters != nil {
		return p.InvocationHttpParameters.apply(c)
	}
	return nil
}

// isHeader tells whether a text can be the name of a header.
func isHeader(name string) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' || c == ':' || c == '(' || c == ')' || c == ',' || c == '/' || c == ';' || c == '<' || c == '=' || c == '>' || c == '?' || c == '@' || c == '[' || c == '\\' || c == ']' || c == '{' || c == '}' || c == '"' {
			return false
		}
	}
	return name != ""
}

// apply puts these in place of those that a connection has.
func (p *InvocationParameters) apply(c *catalog.EventConnection) error {
	c.Settings.Params, c.Secret.Params = nil, map[string]catalog.Secret{}
	add := func(in, key string, value catalog.Secret, secret bool) error {
		if key == "" {
			return fault.New(fault.Invalid, "InvocationHttpParameters: a parameter has no Key")
		}
		param := catalog.ConnectionParameter{In: in, Key: key, Value: string(value), Secret: secret}
		if secret {
			param.Value = ""
			c.Secret.Params[in+"/"+key] = value
		}
		if slices.ContainsFunc(c.Settings.Params, func(other catalog.ConnectionParameter) bool { return other.In == in && other.Key == key }) {
			return fault.New(fault.Invalid, "InvocationHttpParameters: %s %s is given twice", in, key)
		}
		c.Settings.Params = append(c.Settings.Params, param)
		return nil
	}
	for _, h := range p.HeaderParameters {
		if err := add(catalog.ParamHeader, h.Key, h.Value, h.IsValueSecret); err != nil {
			return err
		}
	}
	for _, q := range p.QueryStringParameters {
		if err := add(catalog.ParamQuery, q.Key, q.Value, q.IsValueSecret); err != nil {
			return err
		}
	}
	for _, b := range p.BodyParameters {
		if err := add(catalog.ParamBody, b.Key, b.Value, b.IsValueSecret); err != nil {
			return err
		}
	}
	return nil
}

// ConnectionOutput tells of a connection.
type ConnectionOutput struct {
	ConnectionArn      string         `json:"ConnectionArn"`
	ConnectionState    string         `json:"ConnectionState"`
	CreationTime       *restjson.Time `json:"CreationTime"`
	LastModifiedTime   *restjson.Time `json:"LastModifiedTime"`
	LastAuthorizedTime *restjson.Time `json:"LastAuthorizedTime"`
}

func (a *API) connectionARN(c catalog.EventConnection) string {
	return event.ConnectionARN(a.region, c.Account, event.Name{Name: c.Name, ID: c.ID})
}

func (a *API) connectionOutput(c catalog.EventConnection) *ConnectionOutput {
	return &ConnectionOutput{a.connectionARN(c), authorized, at(c.Created), at(c.Modified), at(c.Modified)}
}

func (a *API) createConnection(ctx context.Context, account string, in *CreateConnectionInput) (*ConnectionOutput, error) {
	c := catalog.EventConnection{Account: account, Name: in.Name, ID: event.NewID(), Description: in.Description, Kind: in.AuthorizationType}
	if err := in.AuthParameters.apply(&c); err != nil {
		return nil, err
	}
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		c.Created, c.Modified = tx.Now(), tx.Now()
		if err := tx.InsertEventConnection(c); err != nil {
			return err
		}
		all, err := tx.EventConnections(account, "", "", maxConnections+1)
		if err == nil && len(all) > maxConnections {
			return tooMany("connections", maxConnections)
		}
		return err
	})
	return a.connectionOutput(c), err
}

// UpdateConnectionInput says what of a connection changes.
type UpdateConnectionInput struct {
	Name              string          `json:"Name" required:"true" validate:"Name"`
	Description       *string         `json:"Description" validate:"Description"`
	AuthorizationType string          `json:"AuthorizationType" validate:"AuthType"`
	AuthParameters    *AuthParameters `json:"AuthParameters"`
}

func (in *UpdateConnectionInput) resource(region, account string) string {
	return event.ConnectionARN(region, account, event.Name{Name: in.Name})
}

func (a *API) updateConnection(ctx context.Context, account string, in *UpdateConnectionInput) (*ConnectionOutput, error) {
	var c catalog.EventConnection
	err := a.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		if c, err = tx.EventConnection(account, in.Name); err != nil {
			return err
		}
		if in.Description != nil {
			c.Description = *in.Description
		}
		if in.AuthorizationType != "" && in.AuthorizationType != c.Kind {
			c.Kind, c.Secret.Password = in.AuthorizationType, ""
			c.Settings.User, c.Settings.Header = "", ""
		}
		if err := in.AuthParameters.apply(&c); err != nil {
			return err
		}
		c.Modified = tx.Now()
		return tx.UpdateEventConnection(c)
	})
	return a.connectionOutput(c), err
}

// ConnectionInput names a connection.
type ConnectionInput struct {
	Name string `json:"Name" required:"true" validate:"Name"`
}

func (in *ConnectionInput) resource(region, account string) string {
	return event.ConnectionARN(region, account, event.Name{Name: in.Name})
}

func (a *API) deleteConnection(ctx context.Context, account string, in *ConnectionInput) (*ConnectionOutput, error) {
	var c catalog.EventConnection
	err := a.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		if c, err = tx.EventConnection(account, in.Name); err != nil {
			return err
		}
		return tx.DeleteEventConnection(account, in.Name)
	})
	out := a.connectionOutput(c)
	out.ConnectionState = "DELETING"
	return out, err
}

// ShownBasicAuth is a user.
type ShownBasicAuth struct {
	Username string `json:"Username"`
}

// ShownAPIKeyAuth is the name of a header.
type ShownAPIKeyAuth struct {
	ApiKeyName string `json:"ApiKeyName"`
}

// ShownParameter is a parameter, without a value that is secret.
type ShownParameter struct {
	Key           string `json:"Key"`
	Value         string `json:"Value,omitempty"`
	IsValueSecret bool   `json:"IsValueSecret"`
}

// ShownParameters are the parameters of a connection.
type ShownParameters struct {
	HeaderParameters      []ShownParameter `json:"HeaderParameters,omitempty"`
	QueryStringParameters []ShownParameter `json:"QueryStringParameters,omitempty"`
	BodyParameters        []ShownParameter `json:"BodyParameters,omitempty"`
}

// ShownAuthParameters are AuthParameters without secrets.
type ShownAuthParameters struct {
	BasicAuthParameters      *ShownBasicAuth  `json:"BasicAuthParameters,omitempty"`
	ApiKeyAuthParameters     *ShownAPIKeyAuth `json:"ApiKeyAuthParameters,omitempty"`
	InvocationHttpParameters *ShownParameters `json:"InvocationHttpParameters,omitempty"`
}

// DescribeConnectionOutput is a connection.
type DescribeConnectionOutput struct {
	ConnectionArn      string              `json:"ConnectionArn"`
	Name               string              `json:"Name"`
	Description        string              `json:"Description,omitempty"`
	ConnectionState    string              `json:"ConnectionState"`
	AuthorizationType  string              `json:"AuthorizationType"`
	AuthParameters     ShownAuthParameters `json:"AuthParameters"`
	CreationTime       *restjson.Time      `json:"CreationTime"`
	LastModifiedTime   *restjson.Time      `json:"LastModifiedTime"`
	LastAuthorizedTime *restjson.Time      `json:"LastAuthorizedTime"`
}

func (a *API) describeConnection(ctx context.Context, account string, in *ConnectionInput) (*DescribeConnectionOutput, error) {
	var c catalog.EventConnection
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		c, err = tx.EventConnection(account, in.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &DescribeConnectionOutput{
		a.connectionARN(c), c.Name, c.Description, authorized, c.Kind, shownAuth(c.Kind, c.Settings), at(c.Created), at(c.Modified), at(c.Modified),
	}, nil
}

func shownAuth(kind string, s catalog.ConnectionSettings) (out ShownAuthParameters) {
	if kind == basic {
		out.BasicAuthParameters = &ShownBasicAuth{s.User}
	} else {
		out.ApiKeyAuthParameters = &ShownAPIKeyAuth{s.Header}
	}
	if len(s.Params) == 0 {
		return out
	}
	params := &ShownParameters{}
	for _, p := range s.Params {
		one := ShownParameter{p.Key, p.Value, p.Secret}
		switch p.In {
		case catalog.ParamHeader:
			params.HeaderParameters = append(params.HeaderParameters, one)
		case catalog.ParamQuery:
			params.QueryStringParameters = append(params.QueryStringParameters, one)
		default:
			params.BodyParameters = append(params.BodyParameters, one)
		}
	}
	out.InvocationHttpParameters = params
	return out
}

// ListConnectionsInput chooses connections.
type ListConnectionsInput struct {
	NamePrefix      string  `json:"NamePrefix" validate:"Name"`
	ConnectionState string  `json:"ConnectionState" validate:"ConnectionState"`
	NextToken       *string `json:"NextToken" validate:"NextToken"`
	Limit           *int    `json:"Limit" validate:"Limit"`
}

func (*ListConnectionsInput) resource(region, account string) string {
	return event.ConnectionARN(region, account, event.Name{Name: "*"})
}

// Connection is a connection in a list.
type Connection struct {
	ConnectionArn      string         `json:"ConnectionArn"`
	Name               string         `json:"Name"`
	ConnectionState    string         `json:"ConnectionState"`
	AuthorizationType  string         `json:"AuthorizationType"`
	CreationTime       *restjson.Time `json:"CreationTime"`
	LastModifiedTime   *restjson.Time `json:"LastModifiedTime"`
	LastAuthorizedTime *restjson.Time `json:"LastAuthorizedTime"`
}

// ListConnectionsOutput is a part of the connections.
type ListConnectionsOutput struct {
	Connections []Connection `json:"Connections"`
	NextToken   *string      `json:"NextToken,omitempty"`
}

func (a *API) listConnections(ctx context.Context, account string, in *ListConnectionsInput) (*ListConnectionsOutput, error) {
	if in.ConnectionState != "" && in.ConnectionState != authorized {
		return &ListConnectionsOutput{Connections: []Connection{}}, nil
	}
	var out ListConnectionsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		rows, next, err := part(turn{in.NextToken, in.Limit, "ListConnections", []string{account, in.NamePrefix, in.ConnectionState}},
			func(after string, limit int) ([]catalog.EventConnection, error) {
				return tx.EventConnections(account, in.NamePrefix, after, limit)
			}, func(c catalog.EventConnection) string { return c.Name })
		out = ListConnectionsOutput{collect(rows, func(c catalog.EventConnection) Connection {
			return Connection{a.connectionARN(c), c.Name, authorized, c.Kind, at(c.Created), at(c.Modified), at(c.Modified)}
		}), next}
		return err
	})
	return &out, err
}

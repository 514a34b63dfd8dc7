package eventsapi

import (
	"cmp"
	"context"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

const (
	maxDestinations = 1000 // of an account
	defaultRate     = 300  // requests in a second
)

func (a *API) destinationRows() []restjson.Row {
	return []restjson.Row{
		op(a, "CreateApiDestination", "name an address that events can be sent to", a.createDestination),
		op(a, "DescribeApiDestination", "describe an api-destination", a.describeDestination),
		op(a, "ListApiDestinations", "list the api-destinations of the account", a.listDestinations),
		op(a, "UpdateApiDestination", "change an api-destination", a.updateDestination),
		op(a, "DeleteApiDestination", "remove an api-destination", a.deleteDestination),
	}
}

// CreateDestinationInput is a destination.
type CreateDestinationInput struct {
	Name                         string `json:"Name" required:"true" validate:"Name"`
	ConnectionArn                string `json:"ConnectionArn" required:"true" validate:"Arn"`
	InvocationEndpoint           string `json:"InvocationEndpoint" required:"true" validate:"Endpoint"`
	HttpMethod                   string `json:"HttpMethod" required:"true" validate:"HTTPMethod"`
	Description                  string `json:"Description" validate:"Description"`
	InvocationRateLimitPerSecond *int   `json:"InvocationRateLimitPerSecond" validate:"InvocationRate"`
}

func (in *CreateDestinationInput) resource(region, account string) string {
	return event.DestinationARN(region, account, event.Name{Name: in.Name})
}

// DestinationOutput tells of a destination.
type DestinationOutput struct {
	ApiDestinationArn   string         `json:"ApiDestinationArn"`
	ApiDestinationState string         `json:"ApiDestinationState"`
	CreationTime        *restjson.Time `json:"CreationTime"`
	LastModifiedTime    *restjson.Time `json:"LastModifiedTime"`
}

func (a *API) destinationARN(d catalog.EventDestination) string {
	return event.DestinationARN(a.region, d.Account, event.Name{Name: d.Name, ID: d.ID})
}

const (
	active   = "ACTIVE"
	inactive = "INACTIVE" // the connection is gone
)

func (a *API) destinationOutput(d catalog.EventDestination) *DestinationOutput {
	return &DestinationOutput{a.destinationARN(d), active, at(d.Created), at(d.Modified)}
}

// connectionOf finds the connection of an ARN.
func (a *API) connectionOf(tx *catalog.Tx, account, arn string) (catalog.EventConnection, error) {
	missing := fault.New(fault.NotFound, "Connection %s does not exist.", arn)
	n, ok := event.ParseConnection(arn, a.region, account)
	if !ok {
		return catalog.EventConnection{}, missing
	}
	c, err := tx.EventConnection(account, n.Name)
	if fault.Is(err, fault.NotFound) || err == nil && c.ID != n.ID {
		return c, missing
	}
	return c, err
}

func (a *API) createDestination(ctx context.Context, account string, in *CreateDestinationInput) (*DestinationOutput, error) {
	if err := event.CheckURL(in.InvocationEndpoint); err != nil {
		return nil, err
	}
	d := catalog.EventDestination{
		Account: account, Name: in.Name, ID: event.NewID(), Description: in.Description,
		Endpoint: in.InvocationEndpoint, Method: in.HttpMethod, Rate: defaultRate,
	}
	if in.InvocationRateLimitPerSecond != nil {
		d.Rate = *in.InvocationRateLimitPerSecond
	}
	err := a.db.Update(ctx, func(tx *catalog.Tx) error {
		c, err := a.connectionOf(tx, account, in.ConnectionArn)
		if err != nil {
			return err
		}
		d.Connection, d.Created, d.Modified = c.ID, tx.Now(), tx.Now()
		if err := tx.InsertEventDestination(d); err != nil {
			return err
		}
		all, err := tx.EventDestinations(account, "", "", maxDestinations+1)
		if err == nil && len(all) > maxDestinations {
			return tooMany("api-destinations", maxDestinations)
		}
		return err
	})
	return a.destinationOutput(d), err
}

// UpdateDestinationInput says what of a destination changes.
type UpdateDestinationInput struct {
	Name                         string  `json:"Name" required:"true" validate:"Name"`
	ConnectionArn                string  `json:"ConnectionArn" validate:"Arn"`
	InvocationEndpoint           string  `json:"InvocationEndpoint" validate:"Endpoint"`
	HttpMethod                   string  `json:"HttpMethod" validate:"HTTPMethod"`
	Description                  *string `json:"Description" validate:"Description"`
	InvocationRateLimitPerSecond *int    `json:"InvocationRateLimitPerSecond" validate:"InvocationRate"`
}

func (in *UpdateDestinationInput) resource(region, account string) string {
	return event.DestinationARN(region, account, event.Name{Name: in.Name})
}

func (a *API) updateDestination(ctx context.Context, account string, in *UpdateDestinationInput) (*DestinationOutput, error) {
	if in.InvocationEndpoint != "" {
		if err := event.CheckURL(in.InvocationEndpoint); err != nil {
			return nil, err
		}
	}
	var d catalog.EventDestination
	err := a.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = tx.EventDestination(account, in.Name); err != nil {
			return err
		}
		if in.ConnectionArn != "" {
			c, err := a.connectionOf(tx, account, in.ConnectionArn)
			if err != nil {
				return err
			}
			d.Connection = c.ID
		}
		d.Endpoint, d.Method = cmp.Or(in.InvocationEndpoint, d.Endpoint), cmp.Or(in.HttpMethod, d.Method)
		if in.Description != nil {
			d.Description = *in.Description
		}
		if in.InvocationRateLimitPerSecond != nil {
			d.Rate = *in.InvocationRateLimitPerSecond
		}
		d.Modified = tx.Now()
		return tx.UpdateEventDestination(d)
	})
	return a.destinationOutput(d), err
}

// DestinationInput names a destination.
type DestinationInput struct {
	Name string `json:"Name" required:"true" validate:"Name"`
}

func (in *DestinationInput) resource(region, account string) string {
	return event.DestinationARN(region, account, event.Name{Name: in.Name})
}

// Destination is a destination in a list.
type Destination struct {
	ApiDestinationArn            string         `json:"ApiDestinationArn"`
	Name                         string         `json:"Name"`
	ApiDestinationState          string         `json:"ApiDestinationState"`
	ConnectionArn                string         `json:"ConnectionArn"`
	InvocationEndpoint           string         `json:"InvocationEndpoint"`
	HttpMethod                   string         `json:"HttpMethod"`
	InvocationRateLimitPerSecond int            `json:"InvocationRateLimitPerSecond"`
	CreationTime                 *restjson.Time `json:"CreationTime"`
	LastModifiedTime             *restjson.Time `json:"LastModifiedTime"`
}

// DescribeDestinationOutput is a destination.
type DescribeDestinationOutput struct {
	ApiDestinationArn            string         `json:"ApiDestinationArn"`
	Name                         string         `json:"Name"`
	Description                  string         `json:"Description,omitempty"`
	ApiDestinationState          string         `json:"ApiDestinationState"`
	ConnectionArn                string         `json:"ConnectionArn"`
	InvocationEndpoint           string         `json:"InvocationEndpoint"`
	HttpMethod                   string         `json:"HttpMethod"`
	InvocationRateLimitPerSecond int            `json:"InvocationRateLimitPerSecond"`
	CreationTime                 *restjson.Time `json:"CreationTime"`
	LastModifiedTime             *restjson.Time `json:"LastModifiedTime"`
}

// destinationOf looks up the connection, which may be gone.
func (a *API) destinationOf(tx *catalog.Tx, d catalog.EventDestination) (Destination, error) {
	out := Destination{
		a.destinationARN(d), d.Name, active, "", d.Endpoint, d.Method, d.Rate, at(d.Created), at(d.Modified),
	}
	c, err := tx.EventConnectionByID(d.Connection)
	switch {
	case fault.Is(err, fault.NotFound):
		out.ApiDestinationState = inactive
		return out, nil
	case err != nil:
		return out, err
	}
	out.ConnectionArn = a.connectionARN(c)
	return out, nil
}

func (a *API) describeDestination(ctx context.Context, account string, in *DestinationInput) (*DescribeDestinationOutput, error) {
	var row catalog.EventDestination
	var d Destination
	err := a.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if row, err = tx.EventDestination(account, in.Name); err != nil {
			return err
		}
		d, err = a.destinationOf(tx, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &DescribeDestinationOutput{
		d.ApiDestinationArn, d.Name, row.Description, d.ApiDestinationState, d.ConnectionArn,
		d.InvocationEndpoint, d.HttpMethod, d.InvocationRateLimitPerSecond, d.CreationTime, d.LastModifiedTime,
	}, nil
}

// ListDestinationsInput chooses destinations.
type ListDestinationsInput struct {
	NamePrefix    string  `json:"NamePrefix" validate:"Name"`
	ConnectionArn string  `json:"ConnectionArn" validate:"Arn"`
	NextToken     *string `json:"NextToken" validate:"NextToken"`
	Limit         *int    `json:"Limit" validate:"Limit"`
}

func (*ListDestinationsInput) resource(region, account string) string {
	return event.DestinationARN(region, account, event.Name{Name: "*"})
}

// ListDestinationsOutput is a part of the destinations.
type ListDestinationsOutput struct {
	ApiDestinations []Destination `json:"ApiDestinations"`
	NextToken       *string       `json:"NextToken,omitempty"`
}

// listDestinations may give fewer than it is asked for, and a token, when they
// have to be those of one connection.
func (a *API) listDestinations(ctx context.Context, account string, in *ListDestinationsInput) (*ListDestinationsOutput, error) {
	var out ListDestinationsOutput
	err := a.db.View(ctx, func(tx *catalog.Tx) error {
		rows, next, err := part(turn{in.NextToken, in.Limit, "ListApiDestinations", []string{account, in.NamePrefix, in.ConnectionArn}},
			func(after string, limit int) ([]catalog.EventDestination, error) {
				return tx.EventDestinations(account, in.NamePrefix, after, limit)
			}, func(d catalog.EventDestination) string { return d.Name })
		if err != nil {
			return err
		}
		out = ListDestinationsOutput{[]Destination{}, next}
		for _, row := range rows {
			d, err := a.destinationOf(tx, row)
			if err != nil {
				return err
			}
			if in.ConnectionArn == "" || in.ConnectionArn == d.ConnectionArn {
				out.ApiDestinations = append(out.ApiDestinations, d)
			}
		}
		return nil
	})
	return &out, err
}

func (a *API) deleteDestination(ctx context.Context, account string, in *DestinationInput) (*nothing, error) {
	return nil, a.db.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteEventDestination(account, in.Name) })
}

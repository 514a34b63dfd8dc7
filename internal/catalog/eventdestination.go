package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"packhouse/internal/fault"
)

// EventConnection is how API destinations know us: credentials and what else
// goes with every request.
type EventConnection struct {
	Account     string
	Name        string
	ID          string // the last part of its ARN
	Description string
	Kind        string // BASIC or API_KEY
	Settings    ConnectionSettings
	Secret      ConnectionSecret
	Created     time.Time
	Modified    time.Time
}

// ConnectionSettings are the parts of a connection that may be shown. Values of
// parameters that are secret are not among them.
type ConnectionSettings struct {
	User   string                `json:"user,omitempty"`   // BASIC
	Header string                `json:"header,omitempty"` // API_KEY: the header's name
	Params []ConnectionParameter `json:"params,omitempty"`
}

// ConnectionParameter is a header, query or body member of every request.
type ConnectionParameter struct {
	In     string `json:"in"` // ParamHeader, ParamQuery or ParamBody
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"` // empty when it is secret
	Secret bool   `json:"secret,omitempty"`
}

// Where a ConnectionParameter stands.
const (
	ParamHeader = "header"
	ParamQuery  = "query"
	ParamBody   = "body"
)

// ConnectionSecret is what is sealed of a connection. It shows nothing of
// itself.
type ConnectionSecret struct {
	Password Secret            // or the value of the API key
	Params   map[string]Secret // by In and Key: "header/X-Key"
}

// sealedSecret is a ConnectionSecret on its way to be sealed: Secret does not
// show itself to fmt and slog, but JSON it may enter.
type sealedSecret struct {
	Password string            `json:"password"`
	Params   map[string]string `json:"params,omitempty"`
}

// EventDestination is an address that events are sent to by API.
type EventDestination struct {
	Account     string
	Name        string
	ID          string // the last part of its ARN
	Description string
	Connection  string // id
	Endpoint    string // URL, in which asterisks stand for values of the target
	Method      string
	Rate        int // requests in a second, at most; 0 is no bound
	Created     time.Time
	Modified    time.Time
}

const eventConnectionColumns = "account, name, id, description, kind, settings, secret, created, modified"

func (tx *Tx) scanEventConnection(scan func(...any) error) (c EventConnection, err error) {
	var created, modified int64
	var settings, sealed string
	if err := scan(&c.Account, &c.Name, &c.ID, &c.Description, &c.Kind, &settings, &sealed, &created, &modified); err != nil {
		return c, err
	}
	c.Created, c.Modified = fromMicros(created), fromMicros(modified)
	if err := json.Unmarshal([]byte(settings), &c.Settings); err != nil {
		return c, fmt.Errorf("settings of connection %s: %w", c.Name, err)
	}
	text, err := tx.unsealed("event_connection", c.ID, sealed)
	if err != nil {
		return c, err
	}
	var s sealedSecret
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return c, fmt.Errorf("the secret of connection %s cannot be read", c.Name) // the cause might show some of it
	}
	c.Secret.Password = Secret(s.Password)
	for key, value := range s.Params {
		if c.Secret.Params == nil {
			c.Secret.Params = map[string]Secret{}
		}
		c.Secret.Params[key] = Secret(value)
	}
	return c, nil
}

// texts are the columns of a connection that are JSON.
func (tx *Tx) texts(c EventConnection) (settings, sealed string, err error) {
	s := sealedSecret{Password: string(c.Secret.Password), Params: map[string]string{}}
	for key, value := range c.Secret.Params {
		s.Params[key] = string(value)
	}
	shown, err := json.Marshal(c.Settings)
	if err != nil {
		return "", "", fmt.Errorf("settings of a connection: %w", err)
	}
	secret, err := json.Marshal(s) //nolint:gosec // to be sealed
	if err != nil {
		return "", "", fmt.Errorf("secret of a connection: %w", err)
	}
	sealed, err = tx.sealed("event_connection", c.ID, string(secret))
	return string(shown), sealed, err
}

// InsertEventConnection adds a connection; Conflict when its name is taken.
func (tx *Tx) InsertEventConnection(c EventConnection) error {
	settings, sealed, err := tx.texts(c)
	if err != nil {
		return err
	}
	n, err := tx.exec(`INSERT INTO event_connection (account, name, id, description, kind, settings, secret, created, modified)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		c.Account, c.Name, c.ID, c.Description, c.Kind, settings, sealed, micros(c.Created), micros(c.Modified))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "Connection %s already exists.", c.Name)
	}
	tx.configChanged()
	return err
}

// UpdateEventConnection writes all of a connection but its name, id and time of
// making.
func (tx *Tx) UpdateEventConnection(c EventConnection) error {
	settings, sealed, err := tx.texts(c)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE event_connection SET description = $3, kind = $4, settings = $5, secret = $6, modified = $7
		WHERE account = $1 AND name = $2`, c.Account, c.Name, c.Description, c.Kind, settings, sealed, micros(c.Modified))
	if err == nil && n == 0 {
		return connectionMissing(c.Name)
	}
	tx.configChanged()
	return err
}

func connectionMissing(name string) error {
	return fault.New(fault.NotFound, "Failed to describe the connection(s). Connection '%s' does not exist.", name)
}

// EventConnection finds a connection; NotFound when there is none.
func (tx *Tx) EventConnection(account, name string) (EventConnection, error) {
	return first(tx, tx.scanEventConnection, connectionMissing(name),
		"SELECT "+eventConnectionColumns+" FROM event_connection WHERE account = $1 AND name = $2", account, name)
}

// EventConnectionByID finds a connection by its id; NotFound when there is none.
func (tx *Tx) EventConnectionByID(id string) (EventConnection, error) {
	return first(tx, tx.scanEventConnection, connectionMissing(id), "SELECT "+eventConnectionColumns+" FROM event_connection WHERE id = $1", id)
}

// EventConnections lists an account's connections by name, those that begin
// with prefix, after a name.
func (tx *Tx) EventConnections(account, prefix, after string, limit int) ([]EventConnection, error) {
	q := newQuery("SELECT "+eventConnectionColumns+" FROM event_connection WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, tx.scanEventConnection, q.prefix("name", prefix).add(" ORDER BY name").limit(limit))
}

// DeleteEventConnection removes a connection; NotFound without it.
func (tx *Tx) DeleteEventConnection(account, name string) error {
	n, err := tx.exec("DELETE FROM event_connection WHERE account = $1 AND name = $2", account, name)
	if err == nil && n == 0 {
		return connectionMissing(name)
	}
	tx.configChanged()
	return err
}

const eventDestinationColumns = "account, name, id, description, connection, endpoint, method, rate, created, modified"

func scanEventDestination(scan func(...any) error) (d EventDestination, err error) {
	var rate, created, modified int64
	err = scan(&d.Account, &d.Name, &d.ID, &d.Description, &d.Connection, &d.Endpoint, &d.Method, &rate, &created, &modified)
	d.Rate, d.Created, d.Modified = int(rate), fromMicros(created), fromMicros(modified)
	return d, err
}

// InsertEventDestination adds a destination; Conflict when its name is taken.
func (tx *Tx) InsertEventDestination(d EventDestination) error {
	n, err := tx.exec(`INSERT INTO event_destination (account, name, id, description, connection, endpoint, method, rate, created, modified)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		d.Account, d.Name, d.ID, d.Description, d.Connection, d.Endpoint, d.Method, int64(d.Rate), micros(d.Created), micros(d.Modified))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "An api-destination '%s' already exists.", d.Name)
	}
	tx.configChanged()
	return err
}

// UpdateEventDestination writes all of a destination but its name, id and time
// of making.
func (tx *Tx) UpdateEventDestination(d EventDestination) error {
	n, err := tx.exec(`UPDATE event_destination SET description = $3, connection = $4, endpoint = $5, method = $6, rate = $7, modified = $8
		WHERE account = $1 AND name = $2`, d.Account, d.Name, d.Description, d.Connection, d.Endpoint, d.Method, int64(d.Rate), micros(d.Modified))
	if err == nil && n == 0 {
		return destinationMissing(d.Name)
	}
	tx.configChanged()
	return err
}

func destinationMissing(name string) error {
	return fault.New(fault.NotFound, "Failed to describe the api-destination(s). An api-destination '%s' does not exist.", name)
}

// EventDestination finds a destination; NotFound when there is none.
func (tx *Tx) EventDestination(account, name string) (EventDestination, error) {
	return first(tx, scanEventDestination, destinationMissing(name),
		"SELECT "+eventDestinationColumns+" FROM event_destination WHERE account = $1 AND name = $2", account, name)
}

// EventDestinations lists an account's destinations by name, those that begin
// with prefix, after a name.
func (tx *Tx) EventDestinations(account, prefix, after string, limit int) ([]EventDestination, error) {
	q := newQuery("SELECT "+eventDestinationColumns+" FROM event_destination WHERE ").add("account = ? AND name > ?", account, after)
	return all(tx, scanEventDestination, q.prefix("name", prefix).add(" ORDER BY name").limit(limit))
}

// DeleteEventDestination removes a destination; NotFound without it.
func (tx *Tx) DeleteEventDestination(account, name string) error {
	n, err := tx.exec("DELETE FROM event_destination WHERE account = $1 AND name = $2", account, name)
	if err == nil && n == 0 {
		return destinationMissing(name)
	}
	tx.configChanged()
	return err
}

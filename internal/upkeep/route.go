package upkeep

import (
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/event"
	"packhouse/internal/event/webhook"
	"packhouse/internal/fault"
)

// route is a target with all it takes to deliver to it.
type route struct {
	target  string        // its name in deliveries
	retries int           // of a message, after the first attempt
	age     time.Duration // of a message that is still tried
	rate    int           // messages a second; 0: any
	open    func() (event.Sink, error)
}

// find looks a target up; NotFound when it is gone.
func (c *courier) find(tx *catalog.Tx, target string) (route, error) {
	r := route{target: target, retries: defaultRetries, age: defaultAge}
	if _, _, id, ok := catalog.SplitSubscription(target); ok {
		s, err := tx.Subscription(id)
		r.open = func() (event.Sink, error) {
			if c.opt.Sinks.Topic == nil {
				return nil, fault.New(fault.Unavailable, "nothing is sent to topics")
			}
			return c.opt.Sinks.Topic(s), nil
		}
		return r, err
	}
	t, err := c.findTarget(tx, target)
	if s := t.Settings; s.MaxAge != nil {
		r.age = time.Duration(*s.MaxAge) * time.Second
	}
	if n := t.Settings.Attempts; n != nil {
		r.retries = *n
	}
	r.rate = t.destination.Rate
	r.open = func() (event.Sink, error) { return c.sink(t) }
	return r, err
}

// ruleTarget is a target of a rule with all it takes to reach it.
type ruleTarget struct {
	catalog.EventTarget
	destination catalog.EventDestination // zero when the target is none
	connection  catalog.EventConnection
	secret      catalog.Secret // that messages are signed with
	missing     error          // what of it is gone
}

// findTarget looks a target of a rule up; NotFound when it is gone itself.
func (c *courier) findTarget(tx *catalog.Tx, target string) (r ruleTarget, err error) {
	if r.EventTarget, err = tx.EventTarget(catalog.SplitTarget(target)); err != nil {
		return r, err
	}
	if r.secret, err = tx.EventSigning(r.Account); err != nil {
		return r, err
	}
	var address event.Address
	if address, r.missing = event.ParseTarget(r.ARN, c.opt.Region, r.Account); address.Destination.Name == "" {
		return r, nil
	}
	r.destination, err = tx.EventDestination(r.Account, address.Destination.Name)
	if err == nil && r.destination.ID != address.Destination.ID {
		err = fault.New(fault.NotFound, "the api-destination %s is gone", address.Destination.Name)
	}
	if err == nil {
		r.connection, err = tx.EventConnectionByID(r.destination.Connection)
	}
	if fault.Is(err, fault.NotFound) {
		r.missing, err = err, nil
	}
	return r, err
}

// sink opens the way to a target of a rule.
func (c *courier) sink(r ruleTarget) (event.Sink, error) {
	if r.missing != nil {
		return nil, fault.Wrap(fault.Upstream, r.missing, "%s", fault.Message(r.missing))
	}
	address, err := event.ParseTarget(r.ARN, c.opt.Region, r.Account)
	if err != nil {
		return nil, err
	}
	if address.Log {
		return c.opt.Sinks.Log(r.Account), nil
	}
	to := webhook.Target{URL: address.URL}
	if d := r.destination; d.Name != "" {
		to.URL, to.Method = d.Endpoint, d.Method
	}
	to.URL = webhook.URLOf(to.URL, r.Settings.PathValues)
	if r.secret == "" {
		return nil, fault.New(fault.Unavailable, "there is no secret to sign with")
	}
	to.Key = webhook.KeyOf([]byte(r.secret), r.ARN)
	r.authorize(&to)
	return c.opt.Sinks.Webhook(to)
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"
)

type fsckArgs struct {
	clientFlags
	Domain string `name:"domain" placeholder:"DOMAIN" help:"Check this domain; without it everything the server stores."`
	Owner  string `name:"domain-owner" placeholder:"ACCOUNT" help:"The account that owns the domain, by default yours."`
	Repair bool   `name:"repair" help:"Fetch again what is lost and came from outside, and set rows right."`
	Rate   int64  `name:"rate" placeholder:"BYTES" help:"Read no more bytes per second, by default 52428800."`
	Detach bool   `name:"detach" help:"Start the check and do not wait for it."`
	Output string `name:"output" enum:"table,json" default:"table" help:"table or json."`
}

func fsckCommand() command {
	args := &fsckArgs{}
	return command{
		name: "fsck", group: "Reports", args: args, help: "Check every stored byte against its digest, while the server runs.",
		run: func(ctx context.Context, env *Env) error { return fsck(ctx, env, args) },
	}
}

const fsckPoll = 500 * time.Millisecond

// fsck starts a check, or joins the one under way, and follows it to its end. A
// check goes on when the command is broken off.
func fsck(ctx context.Context, env *Env, args *fsckArgs) error {
	api, err := dialNamed(ctx, env, args.clientFlags, "codeartifact")
	if err != nil {
		return err
	}
	about := input{}
	if args.Domain != "" {
		about["Domain"] = args.Domain
	}
	if args.Owner != "" {
		about["DomainOwner"] = args.Owner
	}
	in := with(about, input{"Repair": args.Repair})
	if args.Rate != 0 {
		in["BytesPerSecond"] = args.Rate
	}
	out, err := api.named(ctx, "StartStorageCheck", in)
	if err != nil {
		return err
	}
	check := memberOf(out, "check")
	if args.Detach {
		return writeJSON(env.Stdout, out)
	}
	id := check.text("checkId")
	for check.text("state") == "RUNNING" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the check goes on: packhouse describe-storage-check --check %s", ctx.Err(), id)
		case <-time.After(fsckPoll):
		}
		if out, err = api.named(ctx, "DescribeStorageCheck", with(about, input{"Check": id})); err != nil {
			return err
		}
		check = memberOf(out, "check")
	}
	findings, err := api.namedAll(ctx, "ListStorageFindings", with(about, input{"Check": id}))
	if err != nil {
		return err
	}
	found, _ := findings.values["findings"].([]any)
	out.set("findings", found)
	if args.Output == "json" {
		err = writeJSON(env.Stdout, out)
	} else {
		err = writeTable(env.Stdout, out)
	}
	bad := number(check, "quarantined")
	for _, f := range found { // what the sweep takes is no harm
		if o, ok := f.(*object); ok && o.text("outcome") == "REPORTED" && o.text("kind") != "UNKNOWN" {
			bad++
		}
	}
	switch {
	case err != nil:
		return err
	case check.text("state") != "DONE":
		return fmt.Errorf("the check was stopped before its end")
	case bad > 0:
		return fmt.Errorf("%d contents are damaged or missing", bad)
	}
	return nil
}

// with is an input and further members.
func with(in, more input) input {
	out := input{}
	maps.Copy(out, in)
	maps.Copy(out, more)
	return out
}

// memberOf is an object in an object, empty when it is not there.
func memberOf(o *object, name string) *object {
	if m, ok := o.values[name].(*object); ok {
		return m
	}
	return &object{}
}

func number(o *object, name string) int64 {
	n, ok := o.values[name].(json.Number)
	if !ok {
		return 0
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return 0
	}
	return i
}

// namedAll is named with all pages of the answer.
func (c *apiClient) namedAll(ctx context.Context, operation string, in input) (*object, error) {
	for _, row := range c.service.Rows {
		if row.Name() != operation {
			continue
		}
		if pages := newPaging(row); pages != nil {
			out, err := pages.all(ctx, c, in, pagingFlags{})
			if err == nil {
				dated(out, row.OutputFields())
			}
			return out, err
		}
	}
	return c.named(ctx, operation, in)
}

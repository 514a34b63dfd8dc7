package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"packhouse/internal/restjson"
)

type reportArgs struct {
	clientFlags
	Kind       string `arg:"" enum:"storage,usage,popular,stale" help:"storage, usage, popular or stale."`
	Domain     string `name:"domain" required:"" placeholder:"DOMAIN" help:"The domain to report on."`
	Owner      string `name:"domain-owner" placeholder:"ACCOUNT" help:"The account that owns the domain, by default yours."`
	Repository string `name:"repository" placeholder:"REPOSITORY" help:"Report on this repository alone."`
	Format     string `name:"format" placeholder:"FORMAT" help:"usage: of the package."`
	Namespace  string `name:"namespace" placeholder:"NAMESPACE" help:"usage: of the package."`
	Package    string `name:"package" placeholder:"PACKAGE" help:"usage: report on this package, by the day."`
	Period     string `name:"period" enum:"minute,hour,day," default:"" help:"usage: minute, hour or day."`
	From       string `name:"start-time" placeholder:"TIME" help:"usage: from this time on, by default 30 days ago."`
	To         string `name:"end-time" placeholder:"TIME" help:"usage: up to this time, by default now."`
	Days       int    `name:"days" placeholder:"N" help:"popular: of so many days, by default 30. stale: not downloaded for so many days, by default 90. storage: look ahead so many days, by default 90."`
	Limit      int    `name:"limit" placeholder:"N" help:"popular: so many packages, by default 20."`
	Output     string `name:"output" enum:"table,json,csv" default:"table" help:"table, json or csv."`
}

func reportCommand() command {
	args := &reportArgs{}
	return command{
		name: "report", group: "Reports", args: args, help: "Report what is stored, used, popular or stale in a domain or repository.",
		run: func(ctx context.Context, env *Env) error { return runReport(ctx, env, args) },
	}
}

// reports are the operations behind the reports, and the member of their
// answers that has one row for each thing.
var reports = map[string]struct{ operation, rows string }{ //nolint:gochecknoglobals // a table
	"storage": {"GetStorageReport", "repositories"},
	"usage":   {"GetUsageReport", "points"},
	"popular": {"GetPopularPackages", "packages"},
	"stale":   {"GetStalePackages", "packages"},
}

func runReport(ctx context.Context, env *Env, args *reportArgs) error {
	kind := reports[args.Kind]
	in, err := args.input()
	if err != nil {
		return err
	}
	api, err := dialNamed(ctx, env, args.clientFlags, "codeartifact")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(api.service.Rows, func(r restjson.Row) bool { return r.Name() == kind.operation })
	if at < 0 {
		return fmt.Errorf("no operation %s", kind.operation)
	}
	row := api.service.Rows[at]
	var out *object
	if pages := newPaging(row); pages != nil {
		out, err = pages.all(ctx, api, in, pagingFlags{})
	} else {
		out, err = api.call(ctx, row, in, nil)
	}
	if err != nil {
		return err
	}
	dated(out, row.OutputFields())
	switch args.Output {
	case "json":
		return writeJSON(env.Stdout, out)
	case "csv":
		rows, _ := out.values[kind.rows].([]any)
		return writeReportCSV(env.Stdout, columns(row, kind.rows), rows)
	}
	return writeTable(env.Stdout, out)
}

func (a *reportArgs) input() (input, error) {
	in := input{"Domain": a.Domain}
	for name, text := range map[string]string{
		"DomainOwner": a.Owner, "Repository": a.Repository, "Format": a.Format, "Namespace": a.Namespace, "Package": a.Package,
		"Period": strings.ToUpper(a.Period),
	} {
		if text != "" {
			in[name] = text
		}
	}
	for name, text := range map[string]string{"StartTime": a.From, "EndTime": a.To} {
		if text == "" {
			continue
		}
		at, err := scalar("--"+kebab(name), text, reflect.TypeFor[restjson.Time]())
		if err != nil {
			return nil, err
		}
		in[name] = at
	}
	usageOnly := a.Format + a.Namespace + a.Package + a.Period + a.From + a.To
	switch {
	case usageOnly != "" && a.Kind != "usage":
		return nil, usagef("--format, --namespace, --package, --period, --start-time and --end-time are for report usage")
	case a.Limit != 0 && a.Kind != "popular":
		return nil, usagef("--limit is for report popular")
	case a.Days != 0 && a.Kind == "usage":
		return nil, usagef("report usage takes --start-time and --end-time in place of --days")
	case a.Days != 0 && a.Kind == "storage":
		in["ForecastDays"] = a.Days
	case a.Days != 0:
		in["Days"] = a.Days
	}
	if a.Limit != 0 {
		in["MaxPackages"] = a.Limit
	}
	return in, nil
}

// columns are the members of the rows of a list, in order, also those that a
// row leaves out.
func columns(row restjson.Row, list string) (names []string) {
	for _, f := range row.OutputFields() {
		if f.Wire == list {
			for member := range f.Type.Elem().Fields() {
				name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
				names = append(names, name)
			}
		}
	}
	return names
}

// writeCSV writes one line for the names and one for each row (RFC 4180). A
// text that a spreadsheet would take for a formula is led by a quote.
func writeReportCSV(w io.Writer, names []string, rows []any) error {
	out := csv.NewWriter(w)
	err := out.Write(names)
	for _, r := range rows {
		o, ok := r.(*object)
		if !ok {
			continue
		}
		cells := make([]string, len(names))
		for i, name := range names {
			switch v := o.values[name].(type) {
			case nil:
			case string:
				if cells[i] = v; v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
					cells[i] = "'" + v
				}
			default:
				cells[i] = inline(v)
			}
		}
		err = errors.Join(err, out.Write(cells))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

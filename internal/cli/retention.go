package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"packhouse/internal/restjson"
)

// shorthands are the names people type for some operations.
func shorthands() map[string]string {
	return map[string]string{
		"pin": "PinPackageVersions", "unpin": "UnpinPackageVersions", "restore": "RestorePackageVersions",
	}
}

// previewCommand is the operation with its pages printed as they come: a preview
// may be of a million versions.
func previewCommand(s Service, row restjson.Row) command {
	o := newOperation(s, row)
	c := o.command(nil)
	c.run = func(ctx context.Context, env *Env) error {
		show, _ := o.args.Field(argOutput).Interface().(outputFlags)
		p, err := newPrinter(show, env)
		if err != nil {
			return err
		}
		in, _, err := o.input(env)
		if err != nil {
			return err
		}
		paged, _ := o.args.Field(argPaging).Interface().(pagingFlags)
		byHand := paged.NoPaginate || paged.MaxItems != nil || paged.StartingToken != nil || o.pages.manual(in)
		if byHand || p.query != nil || p.form != "json" && p.form != "csv" {
			return o.run(ctx, env)
		}
		if in[fieldMax] = 10_000; paged.PageSize != nil {
			in[fieldMax] = *paged.PageSize
		}
		flags, _ := o.args.Field(argClient).Interface().(clientFlags)
		api, err := dialAs(ctx, env, flags, o.service, o.row.Unsigned())
		if err != nil {
			return err
		}
		return stream(p, o.pages.list, func() (*object, error) {
			page, err := api.call(ctx, o.row, in, nil)
			if err == nil {
				in[fieldToken] = page.text(tokenMember)
			}
			return page, err
		})
	}
	return c
}

// stream prints the items of pages until one names no next. Nothing is printed
// before the first has come.
func stream(p *printer, list string, next func() (*object, error)) error {
	w := bufio.NewWriterSize(p.w, 1<<16)
	put := putJSON(w, list)
	if p.form == "csv" {
		put = putCSV(w)
	}
	for {
		page, err := next()
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		items, _ := page.values[list].([]any)
		last := page.text(tokenMember) == ""
		if err := errors.Join(put(items, last), w.Flush()); err != nil || last {
			return err
		}
	}
}

// putJSON writes items as writeJSON writes an object that has them alone.
func putJSON(w io.Writer, list string) func(items []any, last bool) error {
	n, begun := 0, false
	return func(items []any, last bool) error {
		var b bytes.Buffer
		if !begun {
			b.WriteString("{\n    \"" + list + "\": ")
			begun = true
		}
		for _, item := range items {
			b.WriteString(separator(n, '[') + "        ")
			if err := appendJSON(&b, item, "        "); err != nil {
				return err
			}
			n++
		}
		switch {
		case last && n == 0:
			b.WriteString("[]\n}\n")
		case last:
			b.WriteString("\n    ]\n}\n")
		}
		_, err := w.Write(b.Bytes())
		return err
	}
}

// putCSV writes items as lines, the first with the names of their members.
func putCSV(w io.Writer) func(items []any, last bool) error {
	var head []string
	return func(items []any, _ bool) error {
		var err error
		head, err = appendCSV(w, head, items)
		return err
	}
}

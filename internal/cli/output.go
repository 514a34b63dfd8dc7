package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jmespath/go-jmespath"

	"packhouse/internal/restjson"
)

// printer writes answers in the form that was asked for.
type printer struct {
	w     io.Writer
	form  string
	query *jmespath.JMESPath
}

func newPrinter(flags outputFlags, env *Env) (*printer, error) {
	p := &printer{w: env.Stdout, form: flags.Output}
	if p.form == "" {
		p.form = env.getenv("AWS_DEFAULT_OUTPUT")
	}
	if p.form == "" {
		p.form = "json"
	}
	if !slices.Contains([]string{"json", "text", "table", "csv"}, p.form) {
		return nil, usagef("output %q is not json, text, table or csv", p.form)
	}
	if flags.Query != "" {
		q, err := jmespath.Compile(flags.Query)
		if err != nil {
			return nil, usagef("--query: %w", err)
		}
		p.query = q
	}
	return p, nil
}

// outputRow is what a printer needs of a row: where the timestamps are.
type outputRow interface{ OutputFields() []restjson.Field }

func (p *printer) print(out *object, row outputRow) error {
	if row != nil {
		dated(out, row.OutputFields())
	}
	var v any = out
	if p.query != nil {
		found, err := p.query.Search(plain(out))
		if err != nil {
			return usagef("--query: %w", err)
		}
		v = ordered(found)
	} else if len(out.keys) == 0 {
		return nil // as the AWS CLI: an empty answer prints nothing
	}
	switch p.form {
	case "text":
		return writeText(p.w, v)
	case "table":
		return writeTable(p.w, v)
	case "csv":
		return writeCSV(p.w, v)
	default:
		return writeJSON(p.w, v)
	}
}

// ordered turns the result of a query back, with members by name.
func ordered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := &object{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			o.set(key, ordered(v[key]))
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = ordered(v[i])
		}
		return list
	case float64:
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return v
	}
}

func isScalar(v any) bool {
	switch v.(type) {
	case *object, []any:
		return false
	default:
		return true
	}
}

func scalarText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	default:
		return fmt.Sprint(v)
	}
}

// writeText prints tab-separated lines: the scalars of an object by name on one
// line, then what is nested, each line led by its name in capitals.
func writeText(w io.Writer, v any) error {
	var b strings.Builder
	switch v := v.(type) {
	case []any:
		textList(&b, "", v)
	case *object:
		textObject(&b, "", v)
	default:
		b.WriteString(scalarText(v) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func textList(b *strings.Builder, name string, list []any) {
	if !slices.ContainsFunc(list, func(v any) bool { return !isScalar(v) }) {
		if name == "" && len(list) > 0 {
			words := make([]string, len(list))
			for i, v := range list {
				words[i] = scalarText(v)
			}
			b.WriteString(strings.Join(words, "\t") + "\n")
			return
		}
		for _, v := range list {
			b.WriteString(name + "\t" + scalarText(v) + "\n")
		}
		return
	}
	for _, v := range list {
		switch v := v.(type) {
		case *object:
			textObject(b, name, v)
		case []any:
			textList(b, name, v)
		default:
			textList(b, name, []any{v})
		}
	}
}

func textObject(b *strings.Builder, name string, o *object) {
	keys := slices.Sorted(slices.Values(o.keys))
	var words []string
	if name != "" {
		words = append(words, name)
	}
	for _, key := range keys {
		if isScalar(o.values[key]) {
			words = append(words, scalarText(o.values[key]))
		}
	}
	if len(words) > 0 {
		b.WriteString(strings.Join(words, "\t") + "\n")
	}
	for _, key := range keys {
		switch v := o.values[key].(type) {
		case *object:
			textObject(b, strings.ToUpper(key), v)
		case []any:
			textList(b, strings.ToUpper(key), v)
		}
	}
}

// writeTable prints objects as two columns and lists of objects as one table
// each, under their names.
func writeTable(w io.Writer, v any) error {
	var b strings.Builder
	tableValue(&b, "", v)
	_, err := io.WriteString(w, b.String())
	return err
}

func tableValue(b *strings.Builder, title string, v any) {
	switch v := v.(type) {
	case *object:
		var rows [][]string
		for _, key := range v.keys {
			if isScalar(v.values[key]) {
				rows = append(rows, []string{key, scalarText(v.values[key])})
			}
		}
		table(b, title, nil, rows)
		for _, key := range v.keys {
			if !isScalar(v.values[key]) {
				tableValue(b, strings.TrimPrefix(title+"."+key, "."), v.values[key])
			}
		}
	case []any:
		tableList(b, title, v)
	default:
		table(b, title, nil, [][]string{{scalarText(v)}})
	}
}

func tableList(b *strings.Builder, title string, list []any) {
	var head []string
	for _, v := range list {
		if o, ok := v.(*object); ok {
			for _, key := range o.keys {
				if !slices.Contains(head, key) {
					head = append(head, key)
				}
			}
		}
	}
	var rows [][]string
	for _, v := range list {
		o, ok := v.(*object)
		if !ok {
			rows = append(rows, []string{inline(v)})
			continue
		}
		row := make([]string, len(head))
		for i, key := range head {
			if held, ok := o.values[key]; ok {
				row[i] = inline(held)
			}
		}
		rows = append(rows, row)
	}
	table(b, title, head, rows)
}

// inline is a nested value on one line.
func inline(v any) string {
	switch v := v.(type) {
	case *object:
		parts := make([]string, len(v.keys))
		for i, key := range v.keys {
			parts[i] = key + "=" + inline(v.values[key])
		}
		return strings.Join(parts, ",")
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = inline(v[i])
		}
		return strings.Join(parts, " ")
	default:
		return scalarText(v)
	}
}

func table(b *strings.Builder, title string, head []string, rows [][]string) {
	all := rows
	if head != nil {
		all = append([][]string{head}, rows...)
	}
	if len(all) == 0 {
		return
	}
	width := []int{}
	for _, row := range all {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	dashes := make([]string, len(width))
	for i, n := range width {
		dashes[i] = strings.Repeat("-", n+2)
	}
	rule := "+" + strings.Join(dashes, "+") + "+"
	if title != "" {
		b.WriteString(title + "\n")
	}
	b.WriteString(rule + "\n")
	for i, row := range all {
		b.WriteString("|")
		for c, n := range width {
			cell := ""
			if c < len(row) {
				cell = row[c]
			}
			b.WriteString(" " + cell + strings.Repeat(" ", n-len([]rune(cell))) + " |")
		}
		b.WriteString("\n")
		if head != nil && i == 0 {
			b.WriteString(rule + "\n")
		}
	}
	b.WriteString(rule + "\n")
}

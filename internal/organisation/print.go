package organisation

import (
	"fmt"
	"io"
	"strings"
)

// WriteTable prints a plan for people.
func (p *Plan) WriteTable(w io.Writer) error {
	var b strings.Builder
	counts := map[Action]int{}
	for _, c := range p.Changes {
		counts[c.Action]++
		fmt.Fprintf(&b, "%s %s %s\n", map[Action]string{Create: "+", Update: "~", Delete: "-"}[c.Action], c.Kind, c.Name)
		for _, f := range c.Fields {
			switch {
			case isEmpty(f.Before):
				fmt.Fprintf(&b, "    %s: %s\n", f.Field, short(f.After))
			case c.Action == Delete:
			default:
				fmt.Fprintf(&b, "    %s: %s -> %s\n", f.Field, short(f.Before), short(f.After))
			}
		}
		if c.Force != "" {
			fmt.Fprintf(&b, "    needs --force: %s\n", c.Force)
		}
	}
	for _, r := range p.Extra {
		fmt.Fprintf(&b, "? %s %s is not in the file; it is left alone (--prune deletes it)\n", r.Kind, r.Name)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	switch {
	case len(p.Changes) > 0:
		fmt.Fprintf(&b, "%d to create, %d to change, %d to delete\n", counts[Create], counts[Update], counts[Delete])
	case len(p.Extra) > 0:
		fmt.Fprintln(&b, "nothing to do")
	default:
		fmt.Fprintln(&b, "nothing to do: the server is as the file says")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const maxValue = 200 // characters of a value in a table

func short(v any) string {
	if isEmpty(v) {
		return "nothing"
	}
	text := documentText(v)
	if r := []rune(text); len(r) > maxValue {
		return string(r[:maxValue]) + "..."
	}
	return text
}

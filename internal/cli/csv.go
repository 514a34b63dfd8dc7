package cli

import (
	"encoding/csv"
	"io"
	"slices"
)

// writeCSV prints a list of objects as lines of comma-separated values, the first
// with the names of their members. Of an object it prints the one list in it.
func writeCSV(w io.Writer, v any) error {
	if o, ok := v.(*object); ok {
		var lists []any
		for _, key := range o.keys {
			if _, ok := o.values[key].([]any); ok {
				lists = append(lists, o.values[key])
			}
		}
		if len(lists) != 1 {
			return usagef("--output csv: the answer is not one list; name one with --query")
		}
		v = lists[0]
	}
	list, ok := v.([]any)
	if !ok {
		return usagef("--output csv: the answer is not a list")
	}
	_, err := appendCSV(w, nil, list)
	return err
}

// appendCSV writes lines under a head; nil is not written yet, and made of the
// members of these.
func appendCSV(w io.Writer, head []string, list []any) ([]string, error) {
	c := csv.NewWriter(w)
	if head == nil {
		for _, v := range list {
			o, ok := v.(*object)
			if !ok {
				continue
			}
			for _, key := range o.keys {
				if !slices.Contains(head, key) {
					head = append(head, key)
				}
			}
		}
		if head != nil {
			if err := c.Write(head); err != nil {
				return head, err
			}
		}
	}
	for _, v := range list {
		o, ok := v.(*object)
		if !ok {
			o = &object{}
		}
		row := make([]string, len(head))
		for i, key := range head {
			if held := o.values[key]; held != nil {
				row[i] = inline(held)
			}
		}
		if !ok {
			row = []string{inline(v)}
		}
		if err := c.Write(row); err != nil {
			return head, err
		}
	}
	c.Flush()
	return head, c.Error()
}

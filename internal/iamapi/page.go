package iamapi

import (
	"slices"
	"strings"

	"packhouse/internal/fault"
	"packhouse/internal/page"
)

// defaultItems is how many rows a list gives when it is not told.
const defaultItems = 100

// turn is the part of a list that a caller asks for, with the name of the
// list and its filters.
type turn struct {
	marker *string
	max    *int
	name   string
	filter []string
}

func (t turn) list() page.Listing[string] { return page.For[string](t.name, t.filter...) }

// rows gives the part of a list: load gives up to limit rows after a key, in
// the order of key. next is the marker of the next part, empty at the end.
func rows[T any](t turn, load func(after string, limit int) ([]T, error), key func(T) string) (part []T, next string, err error) {
	list := t.list()
	after := ""
	if t.marker != nil {
		if after, _, err = list.Key(*t.marker); err != nil {
			return nil, "", fault.Field("marker", "Invalid Marker.")
		}
	}
	limit := defaultItems
	if t.max != nil {
		limit = *t.max
	}
	all, err := load(after, limit+1)
	if err != nil {
		return nil, "", err
	}
	part, next = page.Cut(list, all, limit, key)
	return part, next, nil
}

// sorted is a load of rows that are all in memory.
func sorted[T any](all []T, key func(T) string) func(after string, limit int) ([]T, error) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	return func(after string, limit int) ([]T, error) {
		from, _ := slices.BinarySearchFunc(all, after, func(row T, after string) int {
			if key(row) <= after {
				return -1
			}
			return 1
		})
		return all[from:min(len(all), from+limit)], nil
	}
}

// collect makes the list of an answer, which is never nil.
func collect[T, Out any](list []T, answer func(T) Out) []Out {
	out := []Out{}
	for _, row := range list {
		out = append(out, answer(row))
	}
	return out
}

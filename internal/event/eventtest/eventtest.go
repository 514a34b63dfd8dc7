// Package eventtest is the suite that every event.Sink passes.
package eventtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packhouse/internal/event"
)

// Run tests a sink. open makes one with a target of its own; received gives the
// bodies that the target has so far, in any order.
func Run(t *testing.T, open func(t *testing.T) (sink event.Sink, received func() [][]byte)) {
	t.Helper()
	t.Run("delivers the body as it is", func(t *testing.T) {
		sink, received := open(t)
		bodies := []string{`{"a":"\u003c<é \" "}`, `[1, 2]`, `"text"`, `null`}
		for i, body := range bodies {
			if err := sink.Deliver(t.Context(), message(i, body)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(sorted(bodies), texts(received())); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("has delivered when it returns", func(t *testing.T) {
		sink, received := open(t)
		for i := range 5 {
			if err := sink.Deliver(t.Context(), message(i, `{"n":1}`)); err != nil {
				t.Fatal(err)
			}
			if got := len(received()); got != i+1 {
				t.Fatalf("%d of %d messages have arrived", got, i+1)
			}
		}
	})
	t.Run("takes large messages", func(t *testing.T) {
		sink, received := open(t)
		body := `"` + strings.Repeat("x", 256<<10) + `"`
		if err := sink.Deliver(t.Context(), message(0, body)); err != nil {
			t.Fatal(err)
		}
		if got := received(); len(got) != 1 || !bytes.Equal(got[0], []byte(body)) {
			t.Errorf("%d messages have arrived", len(got))
		}
	})
	t.Run("takes messages from many at once", func(t *testing.T) {
		sink, received := open(t)
		var all sync.WaitGroup
		var want []string
		for i := range 40 {
			body := fmt.Sprintf(`{"n":%d,"x":%q}`, i, strings.Repeat("y", i*100))
			want = append(want, body)
			all.Go(func() {
				if err := sink.Deliver(t.Context(), message(i, body)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if diff := cmp.Diff(sorted(want), texts(received())); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("takes a message again", func(t *testing.T) {
		sink, received := open(t)
		for range 2 {
			if err := sink.Deliver(t.Context(), message(0, `{}`)); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(received()); got == 0 {
			t.Error("nothing has arrived")
		}
	})
	t.Run("does not deliver when it is told to stop", func(t *testing.T) {
		sink, received := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sink.Deliver(ctx, message(0, `{}`)); err == nil {
			t.Error("no error")
		}
		if got := len(received()); got != 0 {
			t.Errorf("%d messages have arrived", got)
		}
	})
}

func message(i int, body string) event.Message {
	return event.Message{ID: fmt.Sprintf("message-%d", i), Body: []byte(body)}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func texts(bodies [][]byte) (list []string) {
	for _, b := range bodies {
		list = append(list, string(b))
	}
	slices.Sort(list)
	return list
}

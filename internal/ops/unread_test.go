package ops

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestEdge_RefusalDoesNotWaitForTheBody: who asks with Expect: 100-continue, or
// has much to send, hears of a refusal at once.
func TestEdge_RefusalDoesNotWaitForTheBody(t *testing.T) {
	srv := httptest.NewServer(newEdge(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, nil, io.Discard))
	defer srv.Close()
	for name, header := range map[string]string{"asks first": "Content-Length: 5\r\nExpect: 100-continue\r\n", "has much to send": "Content-Length: 1000000000\r\n"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT / HTTP/1.1\r\nHost: house.test\r\n%s\r\n", header)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

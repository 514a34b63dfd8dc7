package lane

import "context"

// replayed is a connection whose first bytes have been read already.
type replayed struct {
	*patient
	head   []byte
	cancel context.CancelFunc
}

// Read gives the bytes that were read before, then the connection's.
func (r *replayed) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// Close ends the connection and what its first requests may have left behind.
func (r *replayed) Close() error {
	r.cancel()
	return r.Conn.Close()
}

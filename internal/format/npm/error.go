package npm

import (
	"net/http"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

const notFoundBody = `{"error":"not_found"}`

// WriteError implements format.Format: {"error": text} and the status, which is
// what every npm client reads.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	status := format.Status(err)
	h := w.Header()
	format.SetErrorHeader(h, err)
	h["Content-Type"] = jsonTypes
	if status == http.StatusNotFound {
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write([]byte(notFoundBody))
		}
		return
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(quote([]byte(`{"error":`), fault.Message(err)), '}'))
	}
}

var jsonTypes = []string{jsonType} //nolint:gochecknoglobals // shared by all answers, never written

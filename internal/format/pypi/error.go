package pypi

import (
	"io"
	"net/http"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// WriteError implements format.Format: a line of plain text, which twine, uv
// and poetry show.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	format.SetErrorHeader(w.Header(), err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(format.Status(err))
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, fault.Message(err)+"\n")
	}
}

package maven

import (
	"net/http"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// WriteError implements format.Format: the text alone. Maven and Gradle show the
// status; who looks at the answer reads the rest.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	h := w.Header()
	format.SetErrorHeader(h, err)
	h.Del("X-Checksum-Sha1")
	h.Del("X-Checksum-Md5")
	h.Set("Content-Type", textType)
	w.WriteHeader(format.Status(err))
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(fault.Message(err) + "\n"))
	}
}

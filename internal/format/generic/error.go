package generic

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// WriteError implements format.Format: {"error": text} and the status.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	format.SetErrorHeader(w.Header(), err)
	body, bad := json.Marshal(struct {
		Error string `json:"error"`
	}{fault.Message(err)}, jsontext.AllowInvalidUTF8(true))
	if bad != nil { // cannot happen: a text alone
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(format.Status(err))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

package nuget

import (
	"net/http"
	"strconv"
	"strings"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// warningHeader is shown by NuGet clients beside the status, whatever that is:
// they print nothing of a body.
const warningHeader = "X-NuGet-Warning"

var errNoAddress = fault.New(fault.NotFound, "there is nothing at this address")

// WriteError implements format.Format: the status and a line of text. Where the
// client would leave its user alone with a number, the header tells why.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	status := format.Status(err)
	h := w.Header()
	format.SetErrorHeader(h, err)
	message := fault.Message(err)
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if status != http.StatusUnauthorized && (!reading || status >= http.StatusInternalServerError || status == http.StatusForbidden) {
		h.Set(warningHeader, headerText(message))
	}
	body := message + "\n"
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}

// headerText makes a message fit for a header: visible ASCII, and not too much
// of it.
func headerText(s string) string {
	const most = 500
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
}

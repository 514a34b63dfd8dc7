package maven

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// problemType is the media type of RFC 9457. Maven 4 and 3.10 ask for it, and show
// the detail to the user.
const problemType = "application/problem+json"

// WriteError implements format.Format: the text alone, or an RFC 9457 problem for
// who asks for that. Older Mavens and Gradle show the status; who looks at the
// answer reads the rest. A 404 is never a problem: Maven's resolver 2.0 would take
// one for a failure, not for a file that is not there.
func (Format) WriteError(w http.ResponseWriter, r *format.Request, err error) {
	h := w.Header()
	format.SetErrorHeader(h, err)
	h.Del("X-Checksum-Sha1")
	h.Del("X-Checksum-Md5")
	status, kind, body := format.Status(err), textType, []byte(fault.Message(err)+"\n")
	if status != http.StatusNotFound && r.Method != http.MethodHead && strings.Contains(r.Header.Get("Accept"), problemType) {
		if problem, e := json.Marshal(problem{http.StatusText(status), status, fault.Message(err)}, jsontext.AllowInvalidUTF8(true)); e == nil {
			kind, body = problemType, problem
		}
	}
	h.Set("Content-Type", kind)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// problem is RFC 9457 section 3.1; its type is about:blank, which goes unsaid.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

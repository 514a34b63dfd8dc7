package topic

import (
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"packhouse/internal/fault"
)

// Where the links in mail lead.
const (
	ConfirmPath = "/sns/confirm"
	LeavePath   = "/sns/unsubscribe"
)

// Serves tells whether a request is for one of the pages of a House.
func Serves(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/sns/") }

// Pages answers for the pages of a House: those that mail leads to, and the
// certificate. A link asks before it does anything, since what scans mail follows
// links.
func (h *House) Pages(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		fail := func(err error) {
			status := http.StatusBadRequest
			switch fault.Of(err) {
			case fault.Internal:
				log.ErrorContext(r.Context(), "a page of a topic failed", slog.String("path", r.URL.Path), slog.Any("error", err))
				status = http.StatusInternalServerError
			case fault.Denied:
				status = http.StatusForbidden
			case fault.Unavailable:
				status = http.StatusServiceUnavailable
			default:
			}
			http.Error(w, fault.Message(err), status)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			http.Error(w, "want GET or POST", http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path != ConfirmPath && r.URL.Path != LeavePath {
			text, ok, err := h.Certificate(r.Context(), r.URL.Path)
			switch {
			case err != nil:
				fail(err)
			case !ok:
				http.NotFound(w, r)
			default:
				head.Set("Content-Type", "application/x-pem-file")
				_, _ = w.Write([]byte(text)) //nolint:gosec // a certificate of ours; a client that has left is nobody's failure
			}
			return
		}
		q := r.URL.Query()
		arn, token := q.Get("TopicArn"), q.Get("Token")
		account, name, err := ParseARN(arn, h.region)
		if err != nil {
			fail(err)
			return
		}
		v := view{Topic: arn, Confirm: r.URL.Path == ConfirmPath}
		if r.Method == http.MethodPost {
			if v.Confirm {
				_, err = h.Confirm(r.Context(), account, name, token, false)
			} else {
				err = h.Leave(r.Context(), account, name, token)
			}
			if err != nil {
				fail(err)
				return
			}
			v.Done = true
		}
		head.Set("Content-Type", "text/html; charset=utf-8")
		head.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'")
		head.Set("Cache-Control", "no-store")
		_ = page.Execute(w, v) // a client that has left is nobody's failure
	})
}

type view struct {
	Topic         string
	Confirm, Done bool
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Notifications</title>
<h1>{{if .Confirm}}Subscription{{else}}Unsubscribe{{end}}</h1><p>{{.Topic}}</p>
{{if .Done}}<p>{{if .Confirm}}The subscription is confirmed.{{else}}The subscription has ended.{{end}}</p>
{{else}}<form method="post"><button>{{if .Confirm}}Confirm subscription{{else}}Unsubscribe{{end}}</button></form>{{end}}
</html>
`))

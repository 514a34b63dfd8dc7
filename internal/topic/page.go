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
func (h *House) Pages(log *slog.Logger) http.Handler { return &pages{h, log} }

type pages struct {
	house *House
	log   *slog.Logger
}

// ServeHTTP implements http.Handler.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has a token
	var err error
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		http.Error(w, "want GET or POST", http.StatusMethodNotAllowed)
	case r.URL.Path == ConfirmPath || r.URL.Path == LeavePath:
		err = p.subscription(w, r)
	default:
		err = p.certificate(w, r)
	}
	if err == nil {
		return
	}
	status := http.StatusBadRequest
	switch fault.Of(err) { //nolint:exhaustive // the rest is the caller's
	case fault.Internal:
		p.log.ErrorContext(r.Context(), "a page of a topic failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		status = http.StatusInternalServerError
	case fault.Denied:
		status = http.StatusForbidden
	case fault.Unavailable:
		status = http.StatusServiceUnavailable
	}
	http.Error(w, fault.Message(err), status)
}

func (p *pages) certificate(w http.ResponseWriter, r *http.Request) error {
	text, ok, err := p.house.Certificate(r.Context(), r.URL.Path)
	switch {
	case err != nil:
		return err
	case !ok:
		http.NotFound(w, r)
		return nil
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write([]byte(text)) // a client that has left is nobody's failure
	return nil
}

// subscription asks on GET and does on POST.
func (p *pages) subscription(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := view{Topic: q.Get("TopicArn"), Confirm: r.URL.Path == ConfirmPath, Done: r.Method == http.MethodPost}
	account, name, err := ParseARN(v.Topic, p.house.region)
	switch {
	case err != nil:
	case v.Done && v.Confirm:
		_, err = p.house.Confirm(r.Context(), account, name, q.Get("Token"), false)
	case v.Done:
		err = p.house.Leave(r.Context(), account, name, q.Get("Token"))
	}
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'")
	head.Set("Cache-Control", "no-store")
	_ = page.Execute(w, v) // a client that has left is nobody's failure
	return nil
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

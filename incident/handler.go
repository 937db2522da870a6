package incident

import (
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/google/uuid"
)

const maxAckForm = 4 << 10 // bytes of a form that is worth reading

//go:embed acknowledge.html
var ackHTML string

var ackPage = template.Must(template.New("acknowledge").Parse(ackHTML))

// ackView is what the page shows.
type ackView struct {
	State  string // "ask", "done", "unknown" or "later"
	Notice string
	Token  string
}

// AckHandler serves [Options].AckURL. GET shows a page with a button, whatever the
// link holds, for scanners of mail open links; POST acknowledges. It needs no
// session: the token in the link is the right to do so.
func (d *Desk) AckHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			d.show(w, r, http.StatusOK, ackView{"ask", r.URL.Query().Get("notice"), r.URL.Query().Get("token")})
		case http.MethodPost:
			d.take(w, r)
		default:
			h.Set("Allow", "GET, HEAD, POST")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		}
	})
}

func (d *Desk) take(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAckForm)
	notice, err := uuid.Parse(r.PostFormValue("notice"))
	if err == nil {
		err = d.Acknowledge(r.Context(), notice, r.PostFormValue("token"))
	} else {
		err = ErrNotice
	}
	switch {
	case err == nil:
		d.show(w, r, http.StatusOK, ackView{State: "done"})
	case errors.Is(err, ErrNotice):
		d.show(w, r, http.StatusNotFound, ackView{State: "unknown"})
	default:
		d.opts.Logger.ErrorContext(r.Context(), "incident: acknowledgement not taken", slog.Any("error", err))
		d.show(w, r, http.StatusServiceUnavailable, ackView{State: "later"})
	}
}

// show writes the page. What fails here the client has broken off.
func (d *Desk) show(w http.ResponseWriter, r *http.Request, status int, v ackView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_ = ackPage.Execute(w, v)
	}
}

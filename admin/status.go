package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

// statusPage is the status page, ready to be filled in.
type statusPage struct {
	template *template.Template
	policy   string // Content-Security-Policy: nothing but its own style sheet
}

func newStatusPage() statusPage {
	sum := sha256.Sum256([]byte(statusCSS))
	return statusPage{
		template: template.Must(template.New("status").Funcs(template.FuncMap{
			"css":  func() template.CSS { return template.CSS(statusCSS) },
			"ago":  ago,
			"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
			"took": func(d time.Duration) string { return d.Round(100 * time.Microsecond).String() },
			"date": func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		}).Parse(statusHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// status is the page for people.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	var page bytes.Buffer
	if err := s.page.template.Execute(&page, s.view(r.URL.Query())); err != nil {
		s.log.Error("status page", zap.Error(err))
		http.Error(w, "the status page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", s.page.policy)
	_, _ = page.WriteTo(w)
}

// ago is the time since t in its two largest units, "3 d 4 h".
func ago(t time.Time) string {
	d := time.Since(t)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0:
		return strconv.Itoa(days) + " d " + strconv.Itoa(hours) + " h"
	case hours > 0:
		return strconv.Itoa(hours) + " h " + strconv.Itoa(minutes) + " min"
	case minutes > 0:
		return strconv.Itoa(minutes) + " min"
	}
	return strconv.Itoa(int(d.Seconds())) + " s"
}

package admin

import (
	"encoding/json"
	"net/http"
	"time"
)

// Certificates is whoever keeps certificates. Its methods may be called from many goroutines at once.
type Certificates interface {
	// List returns what each host is served, in the order of tenants.yaml; with a state those in it. The error names the states there are.
	List(state string) ([]Certificate, error)
	// Summary is List in numbers.
	Summary() CertificateSummary
	// Renew orders a host's certificate now.
	Renew(host string) error
	// Retry wakes hosts that wait after a failure, or all of them when none is named, and returns how many it woke.
	Retry(hosts ...string) (int, error)
}

// Certificate is what browsers are shown by one host, and how its next certificate comes along.
type Certificate struct {
	Host     string    `json:"host"`
	Tenant   string    `json:"tenant,omitempty"`
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	Source   string    `json:"source"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after,omitzero"` // zero where it is made at the first visit
	RenewAt  time.Time `json:"renew_at,omitzero"`
	Position int       `json:"position,omitempty"` // in the queue, from 1
	ETA      time.Time `json:"eta,omitzero"`
	Attempts int       `json:"attempts,omitempty"`
	Error    string    `json:"error,omitempty"` // why there is none yet, and what to do
	NextTry  time.Time `json:"next_try,omitzero"`
	Fault    string    `json:"fault,omitempty"` // what is wrong with the host's own PEM files
}

// Trouble is the sentence for who looks after the host, or "". A host that waits for its turn is in none.
func (c Certificate) Trouble() string {
	switch {
	case c.Fault != "":
		return c.Fault
	case c.State == "queued":
		return ""
	}
	return c.Error
}

// CertificateSummary is all certificates in numbers.
type CertificateSummary struct {
	States            map[string]int // of the hosts that are ordered for
	Faults            int            // hosts with PEM files that cannot be used
	NextExpiry        time.Time      // of the certificates in use; zero for none
	Refused, Stopgaps uint64         // handshakes: with a name that nobody lists; answered without the host's own certificate
	Packed, Parsed    int            // ordered certificates in memory
	Bytes             int
}

// Ordered is how many hosts are ordered for.
func (s CertificateSummary) Ordered() (n int) {
	for _, hosts := range s.States {
		n += hosts
	}
	return n
}

// certs lists certificates as JSON.
func (s *Server) certs(w http.ResponseWriter, r *http.Request) {
	list, err := s.config.Certificates.List(r.URL.Query().Get("state"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(append([]Certificate{}, list...)) // null would be no list
}

// renewCert orders a host's certificate now.
func (s *Server) renewCert(w http.ResponseWriter, r *http.Request) {
	if err := s.config.Certificates.Renew(r.URL.Query().Get("host")); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// retryCerts wakes the hosts that wait after a failure.
func (s *Server) retryCerts(w http.ResponseWriter, r *http.Request) {
	woken, err := s.config.Certificates.Retry(r.URL.Query()["host"]...)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]int{"woken": woken})
}

// ControlHeader is what requests that change something carry. A web page cannot send it here: its browser would ask first, and is not
// answered (Fetch §4.8).
const ControlHeader = "X-Metahub-Control"

// control refuses a request that a web page could have sent.
func control(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(ControlHeader) == "" || r.Header.Get("Origin") != "" {
			http.Error(w, "send the header "+ControlHeader+": yes, which a web page cannot, or use metahub certs and metahub cache", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

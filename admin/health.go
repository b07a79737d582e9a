package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"metahub/tenant"
)

// shown bounds every list in an answer, so that it stays small with any number of tenants.
const shown = 100

// healthz says that the process is alive and answers, no more.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// readyz says whether requests should be sent here. A tenant at fault, or its database, does not take the others out of service, so
// these are told and the answer stays 200.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	state := State(s.state.Load())
	answer := s.readiness(state)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if state != Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(answer)
}

type readiness struct {
	Status    string        `json:"status"`
	Version   string        `json:"version"`
	Tenants   tenantsHealth `json:"tenants"`
	Reload    reloadHealth  `json:"reload"`
	Databases databases     `json:"databases"`
}

type tenantsHealth struct {
	Total        int      `json:"total"`
	FlaggedTotal int      `json:"flagged_total"`
	Flagged      []string `json:"flagged"`
}

type reloadHealth struct {
	Time        time.Time `json:"time"`
	OK          bool      `json:"ok"`
	Seconds     float64   `json:"seconds"`
	FaultsTotal int       `json:"faults_total"`
	Faults      []string  `json:"faults"`
	Restart     []string  `json:"restart"` // settings that wait for a restart
}

type databases struct {
	Total       int        `json:"total"`
	Unavailable int        `json:"unavailable"`
	List        []Database `json:"list"`
}

func (s *Server) readiness(state State) readiness {
	verdict := s.config.Reloads.Verdict()
	return readiness{
		Status:  state.String(),
		Version: s.config.Version,
		Tenants: tenantsHealth{
			Total:        len(s.config.Registry.Current().Tenants()),
			FlaggedTotal: len(verdict.Flagged),
			Flagged:      first(verdict.Flagged, shown),
		},
		Reload: reloadHealth{
			Time:        verdict.Time,
			OK:          verdict.OK,
			Seconds:     verdict.Duration.Seconds(),
			FaultsTotal: len(verdict.Faults),
			Faults:      sentences(first(verdict.Faults, shown)),
			Restart:     first(verdict.Restart, shown),
		},
		Databases: summarize(s.config.Databases()),
	}
}

// summarize puts the deployments that are down first, so that a bounded list shows them.
func summarize(all []Database) databases {
	down, up := []Database{}, []Database{}
	for _, d := range all {
		if d.Available {
			up = append(up, d)
		} else {
			down = append(down, d)
		}
	}
	return databases{Total: len(all), Unavailable: len(down), List: first(append(down, up...), shown)}
}

func sentences(faults tenant.Faults) []string {
	list := make([]string, 0, len(faults))
	for _, fault := range faults {
		list = append(list, fault.String())
	}
	return list
}

// first returns at most n elements; never nil, which JSON would show as null.
func first[S ~[]E, E any](list S, n int) S {
	if list == nil {
		return S{}
	}
	return list[:min(n, len(list))]
}

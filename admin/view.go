package admin

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"metahub/tenant"
)

// rowsPerPage keeps the page light with 10,000 tenants; hostsShown is how many of a tenant's hosts a row names.
const (
	rowsPerPage = 100
	hostsShown  = 3
)

// view is what the status page shows.
type view struct {
	Version         string
	State           State
	Started         time.Time
	Tenants, Hosts  int
	Reload          tenant.Verdict
	Faults          []fault
	HiddenFaults    int
	Databases       databases
	BadCertificates []Certificate
	Certificates    CertificateSummary
	Query           string
	Paging          paging
	Rows            []row
}

type fault struct{ Tenant, Where, Sentence string }

// row is one tenant.
type row struct {
	Slug, Brand string
	URL         string // empty for a wildcard, which has no address of its own
	Hosts       []string
	MoreHosts   int
	Frontend    string
	Backend     string
	Database    string
	Certificate Certificate // of the first host
	Flagged     bool
	Disabled    bool
}

func (s *Server) view(query url.Values) view {
	directory := s.config.Registry.Current()
	verdict := s.config.Reloads.Verdict()
	certificates, _ := s.config.Certificates.List("") // which fails for a state that there is not
	text := strings.TrimSpace(query.Get("q"))
	found := search(directory.Tenants(), strings.ToLower(text))
	page := newPaging(len(found), query.Get("page"), text)
	return view{
		Version:         s.config.Version,
		State:           State(s.state.Load()),
		Started:         s.started,
		Tenants:         len(directory.Tenants()),
		Hosts:           hostsOf(directory.Tenants()),
		Reload:          verdict,
		Faults:          faultsOf(first(verdict.Faults, shown)),
		HiddenFaults:    max(0, len(verdict.Faults)-shown),
		Databases:       summarize(s.config.Databases()),
		BadCertificates: first(faulty(certificates), shown),
		Certificates:    s.config.Certificates.Summary(),
		Query:           text,
		Paging:          page,
		Rows:            rowsOf(found[page.from:page.to], directory.Gateway(), verdict.Flagged, certificates),
	}
}

func hostsOf(tenants []*tenant.Tenant) (n int) {
	for _, t := range tenants {
		n += len(t.Domains)
	}
	return n
}

func faultsOf(faults tenant.Faults) []fault {
	list := make([]fault, 0, len(faults))
	for _, f := range faults {
		where := f.File
		if f.Line > 0 {
			where += ":" + strconv.Itoa(f.Line)
		}
		list = append(list, fault{Tenant: f.Tenant, Where: where, Sentence: f.Message})
	}
	return list
}

func faulty(certificates []Certificate) []Certificate {
	var list []Certificate
	for _, c := range certificates {
		if c.Trouble() != "" {
			list = append(list, c)
		}
	}
	return list
}

// search returns the tenants whose slug, brand or hosts contain a lower-case text.
func search(all []*tenant.Tenant, text string) []*tenant.Tenant {
	if text == "" {
		return all
	}
	var found []*tenant.Tenant
	for _, t := range all {
		if strings.Contains(t.Slug, text) || strings.Contains(strings.ToLower(t.Brand), text) || anyContains(t.Domains, text) {
			found = append(found, t)
		}
	}
	return found
}

func anyContains(list []string, text string) bool {
	for _, s := range list {
		if strings.Contains(s, text) {
			return true
		}
	}
	return false
}

// paging is which part of the tenants found a page shows.
type paging struct {
	Found, Page, Pages int
	Previous, Next     string // links, empty at the ends
	from, to           int
}

// newPaging takes the number of a page as a person may have typed it.
func newPaging(found int, number, query string) paging {
	p := paging{Found: found, Pages: max(1, (found+rowsPerPage-1)/rowsPerPage)}
	wanted, _ := strconv.Atoi(number) // 0 for what is no number, the largest number for one that is too large
	p.Page = min(max(1, wanted), p.Pages)
	p.from = (p.Page - 1) * rowsPerPage
	p.to = min(p.from+rowsPerPage, found)
	if p.Page > 1 {
		p.Previous = pageLink(p.Page-1, query)
	}
	if p.Page < p.Pages {
		p.Next = pageLink(p.Page+1, query)
	}
	return p
}

func pageLink(page int, query string) string {
	values := url.Values{"page": {strconv.Itoa(page)}}
	if query != "" {
		values.Set("q", query)
	}
	return "/?" + values.Encode()
}

func rowsOf(tenants []*tenant.Tenant, gateway *tenant.Gateway, flagged []string, certificates []Certificate) []row {
	rows := make([]row, len(tenants))
	bySlug, byHost := make(map[string]*row, len(rows)), make(map[string]*row, len(rows))
	for i, t := range tenants {
		rows[i] = rowOf(t, portSuffix(gateway.HTTPS))
		bySlug[t.Slug] = &rows[i]
		if len(t.Domains) > 0 {
			byHost[t.Domains[0]] = &rows[i]
		}
	}
	for _, slug := range flagged {
		if r, ok := bySlug[slug]; ok {
			r.Flagged = true
		}
	}
	for _, c := range certificates {
		if r, ok := byHost[c.Host]; ok {
			r.Certificate = c
		}
	}
	return rows
}

func rowOf(t *tenant.Tenant, port string) row {
	r := row{
		Slug: t.Slug, Brand: t.Brand,
		Hosts:     first(t.Domains, hostsShown),
		MoreHosts: max(0, len(t.Domains)-hostsShown),
		Frontend:  t.Frontend.String(),
		Backend:   t.BackendText(),
		Database:  "MongoDB, " + t.Database.Name,
		Disabled:  !t.Enabled,
	}
	if t.Database.Embedded() {
		r.Database = "embedded, " + t.Database.Name
	}
	if len(t.Domains) > 0 && !strings.HasPrefix(t.Domains[0], "*.") {
		r.URL = "https://" + t.Domains[0] + port + "/"
	}
	return r
}

// portSuffix is what a URL needs after the host to reach an https listen address.
func portSuffix(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "443" || port == "0" || port == "" {
		return ""
	}
	return ":" + port
}

package cli

import (
	"metahub/admin"
	"metahub/gateway"
	"metahub/gateway/certificate"
	"metahub/gateway/frontend"
	"metahub/store"
)

// observer hands what the gateway tells to the metrics. The two packages do not know each other.
type observer struct{ metrics *admin.Metrics }

// Request implements gateway.Observer.
func (o observer) Request(s gateway.Sample) {
	o.metrics.Request(s.Tenant, s.Protocol, s.Status, s.Duration, s.BytesIn, s.BytesOut)
	if s.Cache != "" {
		o.metrics.Cached(s.Tenant, s.Cache)
	}
}

// Connection implements gateway.Observer.
func (o observer) Connection(e gateway.Event) {
	switch e {
	case gateway.Opened:
		o.metrics.ConnectionOpened()
	case gateway.Closed:
		o.metrics.ConnectionClosed()
	case gateway.HandshakeFailed:
		o.metrics.HandshakeFailed()
	case gateway.RequestRefused:
		o.metrics.RequestRefused()
	case gateway.ProxyRefused:
		o.metrics.ProxyRefused()
	case gateway.ConnectionDelayed:
		o.metrics.ConnectionDelayed()
	case gateway.ConnectionRefused:
		o.metrics.ConnectionRefused()
	}
}

// Limited implements gateway.Observer.
func (o observer) Limited(tenant, reason string) { o.metrics.Limited(tenant, reason) }

func (o observer) Attacked(budget string) { o.metrics.Attacked(budget) }

// databasesOf tells the admin pages about the deployments in use.
func databasesOf(s *store.Store) []admin.Database {
	status := s.Status()
	list := make([]admin.Database, len(status))
	for i, d := range status {
		list[i] = admin.Database{Name: d.Name, Available: d.Available, Error: d.LastError, Since: d.Since, InFlight: d.InFlight}
	}
	return list
}

func upstreamsOf(s *frontend.Server) []admin.Upstream {
	checked := s.Checked()
	list := make([]admin.Upstream, len(checked))
	for i, c := range checked {
		list[i] = admin.Upstream{Name: c.Upstream, Path: c.Path, Up: c.Up}
	}
	return list
}

// certificates tells the admin pages what each host is served. The two packages do not know each other.
type certificates struct{ keeper *certificate.Keeper }

// List implements admin.Certificates.
func (c certificates) List(state string) ([]admin.Certificate, error) {
	statuses, err := c.keeper.Status(state)
	if err != nil {
		return nil, err
	}
	list := make([]admin.Certificate, len(statuses))
	for i, s := range statuses {
		list[i] = admin.Certificate{
			Host: s.Host, Tenant: s.Tenant, State: string(s.State), Since: s.Since, Source: s.Source, Issuer: s.Issuer,
			NotAfter: s.NotAfter, RenewAt: s.RenewAt, Position: s.Position, ETA: s.ETA,
			Attempts: s.Attempts, Error: s.Error, NextTry: s.NextTry, Fault: s.Fault,
		}
	}
	return list, nil
}

// Summary implements admin.Certificates.
func (c certificates) Summary() admin.CertificateSummary {
	s := c.keeper.Summary()
	states := make(map[string]int, len(s.States))
	for state, n := range s.States {
		states[string(state)] = n
	}
	return admin.CertificateSummary{
		States: states, Faults: s.Faults, NextExpiry: s.NextExpiry, Refused: s.Refused, Stopgaps: s.Stopgaps,
		Packed: s.Packed, Parsed: s.Parsed, Bytes: s.Bytes,
	}
}

// Renew implements admin.Certificates.
func (c certificates) Renew(host string) error { return c.keeper.Renew(host) }

// Retry implements admin.Certificates.
func (c certificates) Retry(hosts ...string) (int, error) { return c.keeper.Retry(hosts...) }

package cli

import (
	"metahub/admin"
	"metahub/gateway"
	"metahub/gateway/certificate"
	"metahub/store"
)

// observer hands what the gateway tells to the metrics. The two packages do not know each other.
type observer struct{ metrics *admin.Metrics }

// Request implements gateway.Observer.
func (o observer) Request(s gateway.Sample) {
	o.metrics.Request(s.Tenant, s.Protocol, s.Status, s.Duration, s.BytesIn, s.BytesOut)
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
	}
}

// databasesOf tells the admin pages about the deployments in use.
func databasesOf(s *store.Store) []admin.Database {
	status := s.Status()
	list := make([]admin.Database, len(status))
	for i, d := range status {
		list[i] = admin.Database{Name: d.Name, Available: d.Available, Error: d.LastError, Since: d.Since, InFlight: d.InFlight}
	}
	return list
}

// certificatesOf tells them what each host is served.
func certificatesOf(k *certificate.Keeper) []admin.Certificate {
	status := k.Status()
	list := make([]admin.Certificate, len(status))
	for i, c := range status {
		list[i] = admin.Certificate{Host: c.Host, Issuer: c.Issuer, NotAfter: c.NotAfter, Fault: c.Fault}
	}
	return list
}

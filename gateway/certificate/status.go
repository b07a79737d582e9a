package certificate

import (
	"time"
)

// Where a host's certificate comes from.
const (
	SourceFile     = "file"
	SourceInternal = "internal"
)

// HostStatus is what an administrator wants to know of one host's certificate.
type HostStatus struct {
	// Host is an API host or a tenant's domain as tenants.yaml has it, or the host of a folder that no tenant lists.
	Host string `json:"host"`
	// Source is SourceFile or SourceInternal.
	Source string `json:"source"`
	// Issuer is the name of who signed it.
	Issuer string `json:"issuer"`
	// NotAfter is when it expires; zero where the local authority has not been asked for it yet.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Fault says what is wrong with the host's PEM files and what to do; empty when nothing is.
	Fault string `json:"fault,omitempty"`
}

// Status tells of all listed hosts in the order of tenants.yaml, API hosts first, then of folders that no tenant lists.
func (k *Keeper) Status() []HostStatus {
	d := k.registry.Current()
	statuses := make([]HostStatus, 0, len(d.Tenants()))
	for _, host := range d.Gateway().APIHosts {
		statuses = append(statuses, k.status(host))
	}
	for _, t := range d.Tenants() {
		for _, domain := range t.Domains {
			statuses = append(statuses, k.status(domain))
		}
	}
	return append(statuses, k.files.unlisted(d)...)
}

func (k *Keeper) status(host string) HostStatus {
	now := time.Now()
	status := HostStatus{Host: host, Source: SourceInternal, Issuer: k.authority.root.Subject.CommonName, Fault: k.files.fault(host)}
	serving := k.files.lookup([]byte(host), now)
	if serving != nil {
		status.Source = SourceFile
	} else {
		serving = k.leaves.lookup([]byte(key(host)), now)
	}
	if serving != nil {
		status.Issuer, status.NotAfter = serving.issuer, serving.notAfter
	}
	return status
}

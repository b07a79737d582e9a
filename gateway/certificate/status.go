package certificate

import (
	"fmt"
	"slices"
	"time"

	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/shelf"
	"metahub/tenant"
)

// Where a host's certificate comes from.
const (
	SourceFile     = "file"
	SourceInternal = "internal"
	SourceOrdered  = "ordered"
	SourceAdopted  = "adopted"
)

// HostStatus is what an administrator wants to know of one host's certificate.
type HostStatus struct {
	// Host is an API host or a tenant's domain as tenants.yaml has it, or the host of a folder that no tenant lists.
	Host string `json:"host"`
	// Tenant is the slug of whose host it is; empty for an API host.
	Tenant string `json:"tenant,omitempty"`
	// State is how far its order is; "active" also for hosts that need none.
	State orders.State `json:"state"`
	// Since is when the state began, where the host is ordered for.
	Since time.Time `json:"since,omitzero"`
	// Source is one of the sources above, of the certificate that visitors are shown.
	Source string `json:"source"`
	// Issuer is the name of who signed it.
	Issuer string `json:"issuer"`
	// NotAfter is when it expires; zero where the local authority has not been asked for it yet.
	NotAfter time.Time `json:"not_after,omitzero"`
	// RenewAt is when a new one is to be ordered.
	RenewAt time.Time `json:"renew_at,omitzero"`
	// Position and ETA tell of an order that waits for its turn; Position counts from 1.
	Position int       `json:"position,omitempty"`
	ETA      time.Time `json:"eta,omitzero"`
	// Attempts, Error and NextTry tell of orders that failed, and of domains that do not point here.
	Attempts int       `json:"attempts,omitempty"`
	Error    string    `json:"error,omitempty"`
	NextTry  time.Time `json:"next_try,omitzero"`
	// Fault says what is wrong with the host's PEM files and what to do; empty when nothing is.
	Fault string `json:"fault,omitempty"`
}

// Summary is HostStatus in numbers.
type Summary struct {
	// States counts the hosts that are ordered for, by state.
	States map[orders.State]int
	// Faults is how many hosts have PEM files that cannot be used.
	Faults int
	// NextExpiry is when the first of the certificates in use expires; zero for none.
	NextExpiry time.Time
	// Refused and Stopgaps are those of Keeper.
	Refused, Stopgaps uint64
	// Packed, Parsed and Bytes tell of the memory that ordered certificates take.
	Packed, Parsed int
	Bytes          int
}

// Status tells of all listed hosts in the order of tenants.yaml, API hosts first, then of folders that no tenant lists; with a state
// of those in it. The error names the states there are.
func (k *Keeper) Status(state string) ([]HostStatus, error) {
	statuses := k.statuses()
	if state == "" {
		return statuses, nil
	}
	wanted, err := orders.ParseState(state)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(statuses, func(s HostStatus) bool { return s.State != wanted }), nil
}

func (k *Keeper) statuses() []HostStatus {
	d := k.registry.Current()
	ordered := k.ordered()
	statuses := make([]HostStatus, 0, len(d.Tenants()))
	for _, host := range d.Gateway().APIHosts {
		statuses = append(statuses, k.status(host, nil, ordered))
	}
	for _, t := range d.Tenants() {
		for _, domain := range t.Domains {
			statuses = append(statuses, k.status(domain, t, ordered))
		}
	}
	return append(statuses, k.files.unlisted(d)...)
}

// ordered is what the queue knows, by domain.
func (k *Keeper) ordered() map[string]orders.Status {
	list := k.queue.Status("")
	byDomain := make(map[string]orders.Status, len(list))
	for _, status := range list {
		byDomain[status.Domain] = status
	}
	return byDomain
}

func (k *Keeper) status(host string, t *tenant.Tenant, ordered map[string]orders.Status) HostStatus {
	s := HostStatus{Host: host, State: orders.Active, Source: SourceInternal, Issuer: k.authority.root.Subject.CommonName}
	if t != nil {
		s.Tenant = t.Slug
	}
	s.Fault = k.files.fault(host, s.Tenant)
	if order, ok := ordered[host]; ok {
		s.State, s.Since, s.RenewAt, s.NextTry = order.State, order.Since, order.RenewAt, order.NextTry
		s.Position, s.ETA, s.Attempts, s.Error = order.Position, order.ETA, order.Attempts, order.Error
	}
	k.serving(&s, host, t)
	return s
}

// serving fills in what visitors are shown.
func (k *Keeper) serving(s *HostStatus, host string, t *tenant.Tenant) {
	now := time.Now()
	name := []byte(key(host))
	if own := k.files.lookup(name, t, now); own != nil {
		s.Source, s.Issuer, s.NotAfter = SourceFile, own.issuer, own.notAfter
		return
	}
	if info, ok := k.ownOrCovering(host, t, now); ok {
		s.Source, s.Issuer, s.NotAfter = SourceOrdered, info.SignedBy, info.NotAfter
		if info.Adopted != "" {
			s.Source = SourceAdopted
		}
		return
	}
	if k.untaken.has(host) {
		s.State, s.Error = orders.Failing, "its certificate is in the storage and cannot be read, the log says why: check that the user of the gateway may read it, and that the storage answers"
	}
	if leaf := k.leaves.lookup(name, now); leaf != nil {
		s.Issuer, s.NotAfter = leaf.issuer, leaf.notAfter
	}
}

// ownOrCovering is what the shelf has for a host: its own, or that of the tenant's wildcard.
func (k *Keeper) ownOrCovering(host string, t *tenant.Tenant, now time.Time) (shelf.Info, bool) {
	info, ok := k.shelf.Info(host)
	if ok && now.Before(info.NotAfter) {
		return info, true
	}
	wildcard, _ := coveringWildcard(k.registry.Current(), t, []byte(host))
	if wildcard == nil {
		return info, false
	}
	info, ok = k.shelf.Info(domainOf(wildcard))
	return info, ok && now.Before(info.NotAfter)
}

// Summary counts.
func (k *Keeper) Summary() Summary {
	stats := k.shelf.Stats()
	s := Summary{
		States: k.queue.Counts(), Refused: k.Refused(), Stopgaps: k.Stopgaps(),
		Packed: stats.Packed, Parsed: stats.Parsed, Bytes: stats.Bytes,
	}
	earlier := func(t time.Time) {
		if !t.IsZero() && (s.NextExpiry.IsZero() || t.Before(s.NextExpiry)) {
			s.NextExpiry = t
		}
	}
	s.Faults = k.files.summarize(earlier)
	earlier(k.orderedExpiry())
	return s
}

// expiryPause is how long the first end of the ordered certificates is taken as known: to look at 100,000 takes a tenth of a second.
const expiryPause = 30 * time.Second

// orderedExpiry is when the first of the ordered certificates expires.
func (k *Keeper) orderedExpiry() time.Time {
	k.expiry.mu.Lock()
	defer k.expiry.mu.Unlock()
	if time.Since(k.expiry.known) < expiryPause {
		return k.expiry.first
	}
	k.expiry.known, k.expiry.first = time.Now(), time.Time{}
	for _, order := range k.queue.Status("") {
		// One that has left is not renewed, and would be the first for ever.
		if at := order.NotAfter; order.State != orders.Left && !at.IsZero() && (k.expiry.first.IsZero() || at.Before(k.expiry.first)) {
			k.expiry.first = at
		}
	}
	return k.expiry.first
}

// Renew orders a host's certificate now, although the present one is still good.
func (k *Keeper) Renew(host string) error {
	name, err := tenant.CanonicalName(host)
	if err != nil {
		return err
	}
	if err := k.queue.Renew(name); err != nil {
		return fmt.Errorf("no certificate is ordered for %q: it is not a domain in tenants.yaml, or its certificate comes from PEM files or the local authority", name)
	}
	return nil
}

// Retry wakes hosts that wait after a failure, or all of them when none is named, and returns how many it woke.
func (k *Keeper) Retry(hosts ...string) (int, error) {
	names := make([]string, 0, len(hosts))
	for _, host := range hosts {
		name, err := tenant.CanonicalName(host)
		if err != nil {
			return 0, err
		}
		names = append(names, name)
	}
	return k.queue.Retry(names...), nil
}

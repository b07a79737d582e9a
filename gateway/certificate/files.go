package certificate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/orders"
	"metahub/tenant"
)

const (
	// settleTime is how long files that do not fit together must stay as they are before that is called a fault.
	settleTime = 2 * time.Second
	// expiryNotice is how long before its end a file's certificate is mentioned in the log.
	expiryNotice = 14 * 24 * time.Hour
)

// pemFolder is the PEM files that administrators drop into certs/<host>/. Handshakes read a published map; only scan writes.
type pemFolder struct {
	path   string
	settle time.Duration
	logger *zap.Logger

	published atomic.Pointer[map[string]publication] // by key

	mu        sync.Mutex             // guards what follows
	folders   map[string]*hostFolder // by host, or by fileID for a tenant's files
	said      map[string]bool        // folder names and faults of the folder itself that were mentioned
	directory *tenant.Directory      // of the last scan
	owners    []*tenant.Tenant       // those in it that have files
}

func newPEMFolder(path string, logger *zap.Logger) *pemFolder {
	f := &pemFolder{path: path, settle: settleTime, logger: logger, folders: map[string]*hostFolder{}, said: map[string]bool{}}
	f.published.Store(&map[string]publication{})
	return f
}

// publication is a certificate from files, and whose it is.
type publication struct {
	*held
	slug string // of the tenant whose certificate.files it is from; empty for a host's folder, which serves whoever has the host
}

// lookup returns the certificate that files give for a host of a tenant, its own before a wildcard's, unless it has expired. t is nil
// for an API host. It does not allocate.
func (f *pemFolder) lookup(host []byte, t *tenant.Tenant, now time.Time) *held {
	published := *f.published.Load()
	if len(published) == 0 {
		return nil
	}
	if own, ok := published[string(host)]; ok && own.serves(t, now) {
		return own.held
	}
	if parent, ok := parentKey(host); ok {
		if own, ok := published[string(parent)]; ok && own.serves(t, now) {
			return own.held
		}
	}
	return nil
}

// serves keeps a tenant's wildcard from the hosts below it that are another tenant's.
func (p publication) serves(t *tenant.Tenant, now time.Time) bool {
	return now.Before(p.notAfter) && (p.slug == "" || t != nil && t.Slug == p.slug)
}

// scan brings the published certificates up to date with the files, and says what changed.
func (f *pemFolder) scan(d *tenant.Directory) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.find() {
		return // an unreadable folder takes nothing away
	}
	changed := f.findTenants(d)
	for _, host := range sortedHosts(f.folders) {
		h := f.folders[host]
		changed = f.look(h, now) || changed
		if !h.present && h.settled {
			delete(f.folders, host)
		}
	}
	if changed {
		f.publish()
	}
	f.mentionUnlisted(d)
}

// find adds the folders of hosts that are new and notes which are there.
func (f *pemFolder) find() bool {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		f.sayOnce("cannot read the certificate folder, the certificates read before go on", zap.String("folder", f.path), zap.Error(err))
		return false
	}
	for _, h := range f.folders {
		h.present = false
	}
	for _, entry := range entries {
		if !reserved(entry.Name()) {
			f.add(entry.Name())
		}
	}
	return true
}

func (f *pemFolder) add(name string) {
	path := filepath.Join(f.path, name)
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return
	}
	host, err := hostOf(name)
	if err != nil {
		f.sayOnce("a folder of certificates is not named after a host, rename or remove it", zap.String("folder", path))
		return
	}
	h, ok := f.folders[host]
	if !ok {
		h = &hostFolder{host: host, hosts: []string{host}, path: path}
		f.folders[host] = h
	}
	if h.path != path {
		f.sayOnce("two folders of certificates are for the same host, remove one", zap.String("host", host), zap.String("used", h.path), zap.String("unused", path))
		return
	}
	h.present = true
}

// fileID is under what the files of a tenant are kept beside the folders of hosts, whose names hold no colon.
func fileID(slug string) string { return "tenant:" + slug }

// findTenants adds what tenants' certificate.files name. It reports whether that may serve other hosts than at the last scan.
func (f *pemFolder) findTenants(d *tenant.Directory) (changed bool) {
	if d != f.directory {
		changed = len(f.owners) > 0
		f.directory, f.owners = d, f.owners[:0]
		for _, t := range d.Tenants() {
			if t.Certificate.Files != "" && len(t.Domains) > 0 {
				f.owners = append(f.owners, t)
			}
		}
	}
	for _, t := range f.owners {
		h, ok := f.folders[fileID(t.Slug)]
		if !ok || h.path != t.Certificate.Files {
			h = &hostFolder{path: t.Certificate.Files, slug: t.Slug}
			f.folders[fileID(t.Slug)] = h
		}
		h.host, h.hosts, h.present = t.Domains[0], t.Domains, true
	}
	return changed
}

// hostOf reads a folder's name: a host in any spelling that tenants.yaml takes, with "_." or "*." in front for a wildcard.
func hostOf(name string) (string, error) {
	if parent, ok := strings.CutPrefix(name, "_."); ok {
		name = "*." + parent
	}
	return tenant.CanonicalName(name)
}

// look reports whether what is to be published has changed.
func (f *pemFolder) look(h *hostFolder, now time.Time) bool {
	host := zap.String("host", h.host)
	change := h.look(now, f.settle)
	switch change {
	case taken:
		f.logger.Info("serves a certificate from files", host, zap.String("folder", h.path), zap.String("issuer", h.good.issuer), zap.Time("not_after", h.good.notAfter))
		if readableByOthers(h.seen.key.mode) {
			f.logger.Warn("a private key can be read by other users of this machine, run chmod 600 on it", host, zap.String("file", filepath.Join(h.path, h.seen.key.name)))
		}
	case removed:
		f.logger.Info("the certificate files are gone, the issuer's certificate serves", host, zap.String("folder", h.path))
	case faulty:
		f.logger.Warn("the certificate files are not used: "+h.fault, host, zap.Bool("former_serves", h.good != nil && now.Before(h.good.notAfter)))
	}
	f.noticeExpiry(h, now)
	return change == taken || change == removed
}

func (f *pemFolder) noticeExpiry(h *hostFolder, now time.Time) {
	if h.good == nil || now.Before(h.good.notAfter.Add(-expiryNotice)) || h.noticed == h.good {
		return
	}
	h.noticed = h.good
	f.logger.Warn("a certificate from files expires soon, put in a renewed one", zap.String("host", h.host), zap.String("folder", h.path), zap.Time("not_after", h.good.notAfter))
}

func (f *pemFolder) publish() {
	published := make(map[string]publication, len(f.folders))
	for _, t := range f.owners {
		f.publishTenant(published, f.folders[fileID(t.Slug)])
	}
	for host, h := range f.folders {
		if h.good != nil && h.slug == "" {
			published[key(host)] = publication{held: h.good} // before a tenant's files
		}
	}
	f.published.Store(&published)
}

func (f *pemFolder) publishTenant(published map[string]publication, h *hostFolder) {
	if h.good == nil {
		return
	}
	for _, domain := range h.hosts {
		if covers(h.good.certificate.Leaf, domain) {
			published[key(domain)] = publication{h.good, h.slug}
		}
	}
}

// mentionUnlisted says once of each folder that no handshake can ask for it.
func (f *pemFolder) mentionUnlisted(d *tenant.Directory) {
	for _, host := range sortedHosts(f.folders) {
		h := f.folders[host]
		if h.checked == d || h.slug != "" {
			continue
		}
		h.checked = d
		listed := isListed(d, host)
		if !listed && !h.unlisted {
			f.logger.Info("no tenant lists the host of a certificate folder", zap.String("host", host), zap.String("folder", h.path))
		}
		h.unlisted = !listed
	}
}

// paths are the folders to watch.
func (f *pemFolder) paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	paths := []string{f.path}
	for _, h := range f.folders {
		if h.seen.chain.name == "." {
			paths = append(paths, filepath.Dir(h.path)) // of a file its folder, as it may be replaced by renaming
			continue
		}
		paths = append(paths, h.path)
	}
	return paths
}

// fault says what is wrong with a host's own files, or with those of its tenant.
func (f *pemFolder) fault(host, slug string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range []string{host, fileID(slug)} {
		if h, ok := f.folders[id]; ok {
			return h.fault
		}
	}
	return ""
}

// summarize returns how many faults there are, and calls expires with the end of each certificate.
func (f *pemFolder) summarize(expires func(time.Time)) (faults int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.folders {
		if h.fault != "" {
			faults++
		}
		if h.good != nil {
			expires(h.good.notAfter)
		}
	}
	return faults
}

// unlisted tells of the folders that no handshake can ask for.
func (f *pemFolder) unlisted(d *tenant.Directory) []HostStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	var statuses []HostStatus
	for _, host := range sortedHosts(f.folders) {
		h := f.folders[host]
		if h.slug != "" || isListed(d, host) {
			continue
		}
		status := HostStatus{Host: host, State: orders.Active, Source: SourceFile, Fault: "no tenant lists this host: add it to tenants.yaml or remove the folder"}
		if h.good != nil {
			status.Issuer, status.NotAfter = h.good.issuer, h.good.notAfter
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// isListed reports whether some listed host would be served by the files of host's folder.
func isListed(d *tenant.Directory, host string) bool {
	name := []byte(host)
	if _, ok := d.Lookup(name); ok || d.IsAPIHost(name) {
		return true
	}
	parent, wildcard := strings.CutPrefix(host, "*")
	if !wildcard {
		return false
	}
	below := func(domain string) bool {
		_, rest, _ := strings.Cut(domain, ".")
		return "."+rest == parent
	}
	for _, t := range d.Tenants() {
		if slices.ContainsFunc(t.Domains, below) {
			return true
		}
	}
	return slices.ContainsFunc(d.Gateway().APIHosts, below)
}

func (f *pemFolder) sayOnce(sentence string, fields ...zap.Field) {
	id := sentence
	for _, field := range fields {
		id += "\x00" + field.String
	}
	if !f.said[id] {
		f.said[id] = true
		f.logger.Warn(sentence, fields...)
	}
}

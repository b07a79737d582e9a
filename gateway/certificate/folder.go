package certificate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"metahub/tenant"
)

// maxPEMFile bounds what is read of a file that somebody dropped.
const maxPEMFile = 1 << 20

// errNoFiles is what a host's folder without certificate and key is judged by, and a folder that is gone.
var errNoFiles = errors.New("the folder holds no certificate and no key")

// reserved are the folders of the storage; no host is looked for in them.
func reserved(name string) bool {
	switch name {
	case "authority", "certificates", "acme", "tickets", "limits", "challenges", "locks", "begun", "ocsp":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// hostFolder is certs/<host>/, or what a tenant's certificate.files names: the files in it, the certificate that they gave last, and what
// is wrong with them now.
type hostFolder struct {
	host  string   // canonical, perhaps a wildcard; of a tenant's files its first domain
	hosts []string // that the certificate may be for: the host, or all domains of the tenant
	path  string
	slug  string // of the tenant, for a tenant's files

	seen     stamp
	seenAt   time.Time
	settled  bool // seen has been judged for good
	good     *held
	fault    string            // empty: good is what the files say
	present  bool              // the folder was there at the last scan
	noticed  *held             // the certificate whose end has been mentioned
	checked  *tenant.Directory // the one that unlisted is about
	unlisted bool              // no tenant lists the host
}

// stamp tells whether a folder's files have changed since they were read.
type stamp struct{ chain, key fileStamp }

type fileStamp struct {
	name     string
	size     int64
	modified time.Time
	mode     fs.FileMode
}

// change is what a look at a folder brought.
type change int

const (
	unchanged change = iota
	taken            // a new certificate serves
	removed          // the files are gone
	faulty           // the files are bad; the last good certificate serves until it expires
)

// look judges the folder's files when they have changed, and for as long as something is wrong with them. A good pair is taken at once.
// Anything else is believed only when it has stayed the same for as long as settle, because files are replaced one after the other.
func (h *hostFolder) look(now time.Time, settle time.Duration) change {
	seen, err := h.stat()
	if seen != h.seen || h.seenAt.IsZero() {
		h.seen, h.seenAt, h.settled = seen, now, false
	}
	if h.settled && h.fault == "" && !h.expired(now) {
		return unchanged
	}
	h.settled = now.Sub(h.seenAt) >= settle
	var fresh *held
	if err == nil {
		fresh, err = h.read(now)
	}
	switch {
	case err == nil:
		return h.take(fresh)
	case !h.settled:
		return unchanged
	case errors.Is(err, errNoFiles):
		return h.clear()
	case err.Error() == h.fault:
		return unchanged
	}
	h.fault = err.Error()
	return faulty
}

func (h *hostFolder) expired(now time.Time) bool { return h.good != nil && now.After(h.good.notAfter) }

func (h *hostFolder) take(fresh *held) change {
	if h.fault == "" && h.good != nil && slices.EqualFunc(h.good.certificate.Certificate, fresh.certificate.Certificate, slices.Equal[[]byte]) {
		return unchanged // read again only because it was too young to be believed
	}
	h.good, h.fault = fresh, ""
	return taken
}

func (h *hostFolder) clear() change {
	had := h.good != nil
	h.good, h.fault = nil, ""
	if had {
		return removed
	}
	return unchanged
}

// stat finds the two files. Their names are those that certbot, Kubernetes and acme clients write. A tenant may have both in one file.
func (h *hostFolder) stat() (stamp, error) {
	if info, err := os.Stat(h.path); h.slug != "" && err == nil && !info.IsDir() {
		only := fileStamp{name: ".", size: info.Size(), modified: info.ModTime(), mode: info.Mode()}
		return stamp{only, only}, nil
	}
	entries, err := os.ReadDir(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, errNoFiles
	}
	if err != nil {
		return stamp{}, fmt.Errorf("%q cannot be read, check its permissions: %w", h.path, err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	chain, chainErr := h.choose("certificate", names, ".crt", "fullchain.pem", "tls.crt", "cert.pem")
	key, keyErr := h.choose("private key", names, ".key", "privkey.pem", "tls.key", "key.pem")
	if chain == "" && key == "" && chainErr == nil && keyErr == nil {
		return stamp{}, errNoFiles
	}
	s := stamp{h.statFile(chain), h.statFile(key)}
	switch {
	case chainErr != nil || keyErr != nil:
		return s, errors.Join(chainErr, keyErr)
	case chain == "":
		return s, fmt.Errorf("%q has a private key and no certificate: put it there as %q", h.path, "fullchain.pem")
	case key == "":
		return s, fmt.Errorf("%q has a certificate and no private key: put it there as %q", h.path, "privkey.pem")
	}
	return s, nil
}

// choose picks the best known name, else the host's own, else the only one with the extension.
func (h *hostFolder) choose(what string, names []string, extension string, known ...string) (string, error) {
	for _, name := range append(known, strings.Replace(h.host, "*.", "_.", 1)+extension) {
		if slices.Contains(names, name) {
			return name, nil
		}
	}
	var others []string
	for _, name := range names {
		if strings.HasSuffix(name, extension) {
			others = append(others, name)
		}
	}
	if len(others) > 1 {
		return "", fmt.Errorf("%q has several files that could be the %s, %q: name the right one %q", h.path, what, others, known[0])
	}
	if len(others) == 1 {
		return others[0], nil
	}
	return "", nil
}

// statFile follows links, which certbot and Kubernetes replace in place of files.
func (h *hostFolder) statFile(name string) fileStamp {
	info, err := os.Stat(filepath.Join(h.path, name))
	if err != nil || name == "" {
		return fileStamp{name: name}
	}
	return fileStamp{name: name, size: info.Size(), modified: info.ModTime(), mode: info.Mode()}
}

func (h *hostFolder) read(now time.Time) (*held, error) {
	pair := pemPair{
		hosts:     h.hosts,
		chainFile: filepath.Join(h.path, h.seen.chain.name),
		keyFile:   filepath.Join(h.path, h.seen.key.name),
	}
	var err error
	if pair.chainPEM, err = readPEM(pair.chainFile, h.seen.chain); err != nil {
		return nil, err
	}
	if pair.keyPEM, err = readPEM(pair.keyFile, h.seen.key); err != nil {
		return nil, err
	}
	return pair.certificate(now)
}

// readPEM opens regular files only: to open a named pipe would wait for its writer.
func readPEM(path string, seen fileStamp) ([]byte, error) {
	if !seen.mode.IsRegular() || seen.modified.IsZero() {
		return nil, fmt.Errorf("%q is not a file that can be read: put the PEM text there", path)
	}
	if seen.size > maxPEMFile {
		return nil, fmt.Errorf("%q is larger than %d bytes: put only the PEM text there", path, maxPEMFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%q cannot be read, give this user the permission: %w", path, err)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxPEMFile))
}

// readableByOthers is about users outside the file's group; on Windows the mode says nothing.
func readableByOthers(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.Perm()&0o004 != 0
}

// sortedHosts are the hosts of folders in a stable order.
func sortedHosts(folders map[string]*hostFolder) []string {
	return slices.Sorted(maps.Keys(folders))
}

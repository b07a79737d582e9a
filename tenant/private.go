package tenant

import (
	"path/filepath"
	"slices"
)

// privatePath is a file or folder of the gateway that holds secrets.
type privatePath struct {
	path, what string
	// whole says that all below the path is the gateway's own, so that no site may lie in it.
	whole bool
}

// isBelow reports whether the path is a folder's, at any depth, or the folder itself. Paths are absolute and clean.
func (p privatePath) isBelow(folder string) bool {
	if folder == "" || p.path == "" {
		return false
	}
	relative, err := filepath.Rel(folder, p.path)
	return err == nil && filepath.IsLocal(relative)
}

// isAround reports whether a folder lies below the path.
func (p privatePath) isAround(folder string) bool {
	return p.whole && privatePath{path: folder}.isBelow(p.path)
}

// keepPrivate refuses a folder that would hand out secrets, whether the entry names it or defaults: does. name is of the key, with its value.
func (e *entry) keepPrivate(folder string, at place, name string) {
	if folder == "" {
		return
	}
	own := privatePath{path: e.tenant.Certificate.Files, what: "the private keys of certificate.files"}
	for _, secret := range append(slices.Clip(e.files.private), own) {
		if secret.isBelow(folder) {
			e.fault(at, "%s holds %s, and everyone could read all of it: give the site a folder of its own", name, secret.what)
			return
		}
		if secret.isAround(folder) {
			e.fault(at, "%s lies among %s, which everyone could then read: give the site a folder elsewhere", name, secret.what)
			return
		}
	}
}

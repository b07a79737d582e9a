package tenant

import "path/filepath"

// privatePath is a file or folder of the gateway that holds secrets.
type privatePath struct{ path, what string }

// isBelow reports whether the path is a folder's, at any depth, or the folder itself. Paths are absolute and clean.
func (p privatePath) isBelow(folder string) bool {
	if folder == "" || p.path == "" {
		return false
	}
	relative, err := filepath.Rel(folder, p.path)
	return err == nil && filepath.IsLocal(relative)
}

package upload

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

// unsettled begins the name of an empty file that stands beside a committed one, with its name behind, from before it is committed until
// it is known whether its document was written. A process that ends in between leaves it, and nothing else does: only files with such a
// mark are ever looked at to be removed, so that no wrong or empty database can cost a tenant its pictures.
const unsettled = ".doc-"

// Unsettled is a file of which nobody knows whether its document was written.
type Unsettled struct{ Resource, Name string }

// Document is the id of the document that the file was uploaded for.
func (u Unsettled) Document() string {
	id, _, _ := strings.Cut(u.Name, "-")
	return id
}

func (f *Files) mark(tenant, resource, name string) error {
	file, err := f.root.OpenFile(path.Join(tenant, resource, unsettled+name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// Settle notes that the document of a file is written, or the file gone. It may be called again.
func (f *Files) Settle(tenant, resource, name string) error {
	if !validFolder(tenant) || !validFolder(resource) || !ValidName(name) {
		return nil
	}
	err := f.root.Remove(path.Join(tenant, resource, unsettled+name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// TakeUnsettled returns the files of a tenant whose uploads began a day ago or longer and never came to their end. It is as good as free:
// they are found when the folder is counted, and each time it is they are returned once. Who asks then settles or removes them.
func (f *Files) TakeUnsettled(tenant string) ([]Unsettled, error) {
	if !validFolder(tenant) {
		return nil, fs.ErrInvalid
	}
	u, err := f.usageOf(tenant)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.unsettled
	u.unsettled = nil
	return taken, nil
}

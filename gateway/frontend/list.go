package frontend

import (
	"errors"
	"io"
	"path"

	"metahub/gateway/page"
)

// mostListed bounds the work and the memory of one listing.
const mostListed = 1000

// list answers with the names in a folder that can be asked for, without those that begin with a dot or lead out of the site.
func (f *files) list(name string) error {
	folder, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	found, err := folder.ReadDir(mostListed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	entries := make([]page.Entry, 0, len(found))
	for _, entry := range found[:min(len(found), mostListed)] {
		if _, _, err := fileName(page.Escape("/" + path.Join(name, entry.Name()))); err != nil {
			continue
		}
		info, err := f.root.Stat(path.Join(name, entry.Name()))
		if err == nil && (info.IsDir() || info.Mode().IsRegular()) {
			entries = append(entries, page.Entry{Name: entry.Name(), Folder: info.IsDir(), Size: info.Size(), Modified: info.ModTime()})
		}
	}
	title := f.mount + "/"
	if name != "." {
		title += name + "/"
	}
	page.Listing(f.ctx, title, entries, len(found) > mostListed)
	return nil
}

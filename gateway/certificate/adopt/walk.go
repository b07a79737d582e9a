package adopt

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxDepth is how many folders below the given one are gone into.
	maxDepth = 8
	// maxEntries bounds the files and folders below one path; 100,000 domains of certbot are 600,000.
	maxEntries = 1_000_000
	// maxBytes bounds what is read of the PEM files below one path.
	maxBytes = 2 << 30
)

// walk goes through the folders below one path.
type walk struct {
	finder  *finder
	root    string
	entries int
	bytes   int64
	deep    bool // that the tree is too deep has been said
	full    bool // that it is too large has been said, and the walk is over
}

// tree looks through a folder and those below it.
func (w *walk) tree(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		w.finder.tell(path, unreadable(err))
		return
	}
	if w.finder.visited[real] {
		w.finder.met++ // it was looked through for another path
		return
	}
	w.folder(path, real, 0)
}

// folder goes into each folder once, whatever links lead there.
func (w *walk) folder(path, real string, depth int) {
	if w.finder.visited[real] || w.full {
		return
	}
	w.finder.visited[real] = true
	listed := w.list(path)
	w.finder.folder(w, path, listed, nil)
	for _, name := range listed.stores {
		w.finder.traefikFile(filepath.Join(path, name), false)
	}
	if depth == maxDepth && len(listed.folders) > 0 {
		w.tooDeep()
		return
	}
	for _, name := range listed.folders {
		below := filepath.Join(path, name)
		realBelow := filepath.Join(real, name)
		if listed.links[name] {
			var err error
			if realBelow, err = filepath.EvalSymlinks(below); err != nil {
				w.finder.tell(below, unreadable(err))
				continue
			}
		}
		w.folder(below, realBelow, depth+1)
	}
}

// files looks through some files of one folder; the others are there to find keys and chains in.
func (w *walk) files(path string, only map[string]bool) {
	listed := w.list(path)
	for name := range only {
		if !slices.Contains(listed.files, name) {
			listed.files = append(listed.files, name)
		}
	}
	slices.Sort(listed.files)
	w.finder.folder(w, path, listed, only)
}

// listing is what a folder has that could be of interest; all are names, sorted.
type listing struct {
	files   []string        // PEM files, by their extension
	stores  []string        // what could be Traefik's
	folders []string        // and links to folders
	links   map[string]bool // those of folders that are links
	// described has x for which there is x.json beside x.key, as Caddy and lego write it.
	described map[string]bool
}

func (w *walk) list(path string) listing {
	entries := w.entriesOf(path)
	l := listing{links: map[string]bool{}, described: map[string]bool{}}
	for _, entry := range entries {
		name := entry.Name()
		isFolder := entry.IsDir()
		if entry.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(path, name))
			isFolder = err == nil && info.IsDir()
			l.links[name] = isFolder
		}
		switch {
		case isFolder:
			l.folders = append(l.folders, name)
		case isPEMName(name):
			l.files = append(l.files, name)
		case filepath.Ext(name) == ".json":
			l.stores = append(l.stores, name)
		}
	}
	l.stores = slices.DeleteFunc(l.stores, func(name string) bool {
		_, beside := slices.BinarySearch(l.files, stem(name)+".key")
		l.described[stem(name)] = beside
		return beside
	})
	if slices.Contains(l.folders, "live") && (slices.Contains(l.folders, "archive") || slices.Contains(l.folders, "renewal")) {
		l.folders = []string{"live"} // certbot's archive has all that ever was
	}
	return l
}

// entriesOf reads a folder in parts, which need not fit into the bounds.
func (w *walk) entriesOf(path string) []fs.DirEntry {
	folder, err := os.Open(path)
	if err != nil {
		w.finder.tell(path, unreadable(err))
		return nil
	}
	defer folder.Close()
	var entries []fs.DirEntry
	for !w.full {
		some, err := folder.ReadDir(1024)
		entries = append(entries, some...)
		if w.entries += len(some); w.entries > maxEntries {
			w.tooLarge(fmt.Sprintf("holds more than %d files", maxEntries))
		}
		if err != nil {
			if err != io.EOF {
				w.finder.tell(path, unreadable(err))
			}
			break
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// read reads a PEM file; ok is false when the walk is over.
func (w *walk) read(path string) (text []byte, fault string, ok bool) {
	if w.full {
		return nil, "", false
	}
	text, fault = readRegular(path)
	if w.bytes += int64(len(text)); w.bytes > maxBytes {
		w.tooLarge(fmt.Sprintf("holds more than %d bytes of PEM files", int64(maxBytes)))
		return nil, "", false
	}
	return text, fault, true
}

func (w *walk) tooDeep() {
	if !w.deep {
		w.deep = true
		w.finder.tell(w.root, fmt.Sprintf("has folders more than %d deep, which were not looked into: name them as paths of their own", maxDepth))
	}
}

func (w *walk) tooLarge(how string) {
	w.full = true
	w.finder.tell(w.root, how+", the rest was not looked at: name the folders in it as paths of their own, some at a time")
}

func isPEMName(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pem", ".crt", ".cer", ".cert", ".key", ".chain", ".bundle", ".ca-bundle":
		return true
	}
	return false
}

package adopt

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
)

// start is what is looked through as one: a folder and those below it, the files of one folder that were named one by one, or a JSON file.
type start struct {
	path string
	only map[string]bool // names of files; nil: the whole folder
	json bool
}

// group puts files of one folder together, so that a shell's "*.crt" reads the folder once and each finds the key beside it.
func (f *finder) group(paths []string) []start {
	var starts []start
	folders := map[string]map[string]bool{}
	for _, path := range paths {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		info, err := os.Stat(path)
		folder, name := filepath.Split(path)
		folder = filepath.Clean(folder)
		switch {
		case err != nil:
			f.tell(path, unreadable(err))
		case info.IsDir():
			starts = append(starts, start{path: path})
		case filepath.Ext(path) == ".json" || beginsAsJSON(path):
			starts = append(starts, start{path: path, json: true})
		case folders[folder] != nil:
			folders[folder][name] = true
		default:
			folders[folder] = map[string]bool{name: true}
			starts = append(starts, start{path: folder, only: folders[folder]})
		}
	}
	return starts
}

func beginsAsJSON(path string) bool {
	file, _, fault := openRegular(path)
	if fault != "" {
		return false
	}
	defer file.Close()
	head, _ := bufio.NewReaderSize(file, 512).Peek(512)
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{"))
}

// path looks through one start, and says so where it brings nothing.
func (f *finder) path(s start) {
	before := f.met
	about := s.path
	switch {
	case s.json:
		f.traefikFile(s.path, true)
	case s.only != nil:
		w := &walk{finder: f, root: s.path}
		w.files(s.path, s.only)
		for name := range s.only {
			about = filepath.Join(s.path, name)
		}
	default:
		w := &walk{finder: f, root: s.path}
		w.tree(s.path)
	}
	if f.met == before {
		f.tell(about, "holds no certificate that could be taken: name a folder of certbot, acme.sh, Caddy or lego, Traefik's acme.json, or PEM files with their keys")
	}
}

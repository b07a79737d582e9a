package frontend

import (
	"errors"
	"io/fs"
	"net/url"
	"path"
	"runtime"
	"strings"
)

// place is what an address leads to: a file, another address, or a folder to be listed.
type place struct {
	name     string // of the file or folder
	info     fs.FileInfo
	redirect string // a path, not escaped
	listed   bool
}

// errRefused is for addresses that no file can have. Nothing stands in for what is not there then.
var errRefused = errors.New("no file has such a name")

// find looks up an address. Each page has one address of the two with and without a slash at the end, and the other leads there: a folder
// with an index has the one with the slash, so that relative links in it work, and about.html has /about.
func (f *files) find(address string) (place, error) {
	name, slash, err := fileName(address)
	if err != nil {
		return place{}, err
	}
	info, err := f.root.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return f.findInFolder(name, slash)
	case err == nil && slash:
		return place{}, fs.ErrNotExist
	case err == nil:
		return place{name: name, info: info}, nil
	case errors.Is(err, fs.ErrNotExist):
		if page, ok := f.findPage(name, slash); ok {
			return page, nil
		}
	}
	return place{}, err
}

func (f *files) findInFolder(name string, slash bool) (place, error) {
	index := path.Join(name, indexName)
	info, err := f.root.Stat(index)
	if err == nil && slash {
		return place{name: index, info: info}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if page, ok := f.findPage(name, slash); ok {
			return page, nil
		}
		if f.tenant.Files.SPA != "" && !f.tenant.Files.Listing {
			return place{}, err
		}
	}
	switch {
	case !slash:
		return place{redirect: "/" + name + "/"}, nil
	case f.tenant.Files.Listing && errors.Is(err, fs.ErrNotExist):
		return place{name: name, listed: true}, nil
	}
	return place{}, err
}

// findPage looks for about.html under the name "about".
func (f *files) findPage(name string, slash bool) (place, bool) {
	if !f.tenant.Files.CleanURLs || name == "." {
		return place{}, false
	}
	info, err := f.root.Stat(name + pageExtension)
	if err != nil || !info.Mode().IsRegular() {
		return place{}, false
	}
	if slash {
		return place{redirect: "/" + name}, true
	}
	return place{name: name + pageExtension, info: info}, true
}

// fileName turns the path of a request target into a name within the folder; slash says that it ended with a slash.
func fileName(target string) (name string, slash bool, err error) {
	if strings.Contains(strings.ToLower(target), "%2f") {
		return "", false, errRefused // a slash in a name, which no file has
	}
	decoded, err := url.PathUnescape(target)
	if err != nil || !strings.HasPrefix(decoded, "/") || strings.ContainsAny(decoded, "\\\x00") {
		return "", false, errRefused
	}
	if decoded == "/" {
		return ".", true, nil
	}
	name, slash = strings.CutSuffix(decoded[1:], "/")
	if !fs.ValidPath(name) || hidden(name) || runtime.GOOS == "windows" && foreign(name) {
		return "", false, errRefused
	}
	return name, slash, nil
}

// hidden reports whether an element of a valid name begins with a dot, but for the folder of RFC 8615.
func hidden(name string) bool {
	if name == ".well-known" {
		return false
	}
	name = strings.TrimPrefix(name, ".well-known/")
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// foreign reports whether Windows would read a name as another one: a stream of a file, a short name such as GIT~1, a dot or space at an
// end, which it drops, or a device.
func foreign(name string) bool {
	for element := range strings.SplitSeq(name, "/") {
		if strings.ContainsAny(element, `:*?"<>|~`) || strings.TrimRight(element, ". ") != element || strings.IndexFunc(element, isControl) >= 0 {
			return true
		}
		base, _, _ := strings.Cut(element, ".")
		base = strings.ToUpper(strings.TrimRight(base, " "))
		switch {
		case base == "CON", base == "PRN", base == "AUX", base == "NUL", base == "CONIN$", base == "CONOUT$":
			return true
		case strings.HasPrefix(base, "COM"), strings.HasPrefix(base, "LPT"):
			if digit := base[3:]; len(digit) == 1 && '0' <= digit[0] && digit[0] <= '9' || digit == "¹" || digit == "²" || digit == "³" {
				return true
			}
		}
	}
	return false
}

func isControl(r rune) bool { return r < ' ' }

package page

import (
	_ "embed"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

var (
	//go:embed listing.html
	listingSource string
	listingPage   = template.Must(template.New("listing").Parse(listingSource))
)

// Entry is a file or folder in a listing.
type Entry struct {
	Name     string // as it is in the folder, of any characters
	Folder   bool
	Size     int64 // in bytes
	Modified time.Time
}

// Listing answers ctx with the names in a folder, folders first; title is its path. more says that not all of them are in entries, which
// it sorts.
func Listing(ctx *fasthttp.RequestCtx, title string, entries []Entry, more bool) {
	slices.SortFunc(entries, func(a, b Entry) int {
		if a.Folder != b.Folder {
			return map[bool]int{true: -1, false: 1}[a.Folder]
		}
		return strings.Compare(a.Name, b.Name)
	})
	data := listingData{Style: template.CSS(style), Title: title, Parent: title != "/", More: more, Entries: make([]listed, len(entries))}
	for i, e := range entries {
		data.Entries[i] = e.listed()
	}
	write(ctx, fasthttp.StatusOK, listingPage, data)
}

type listingData struct {
	Style   template.CSS
	Title   string
	Parent  bool
	More    bool
	Entries []listed
}

type listed struct{ Name, Address, Size, Modified string }

func (e Entry) listed() listed {
	l := listed{Name: e.Name, Address: "./" + Escape(e.Name), Modified: e.Modified.UTC().Format("2006-01-02 15:04")}
	if e.Folder {
		l.Name, l.Address = l.Name+"/", l.Address+"/"
	} else {
		l.Size = strconv.FormatInt(e.Size, 10) + " B"
	}
	return l
}

// Escape writes a path as it stands in an address.
func Escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

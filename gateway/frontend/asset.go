package frontend

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"metahub/conditional"
	"metahub/tenant"
)

// smallFile is the longest file, in bytes, that is read whole, tagged by its content and kept in memory.
const smallFile = 64 << 10

// asset is a file of a folder with all that is said about it. It is immutable and may be used by any number of requests at once.
type asset struct {
	name            string // slash-separated, within the folder
	contentType     []byte
	control         []byte           // Cache-Control
	representations []representation // the file itself, then its precompressed siblings
}

// representation is an asset in one content coding. Until it is loaded only its file, coding and version are known.
type representation struct {
	file    string
	coding  coding
	version version
	conditional.Validators
	body  []byte // nil for a file that is not small
	young bool   // it may have changed since and kept its version
}

func (r *representation) loaded() bool { return r.ETag != nil }

var errChanged = errors.New("the file changes while it is read")

// survey says what there is of a file, and reads none of it. A sibling that is older than its original was made of another version.
func survey(root *os.Root, t *tenant.Tenant, name string, info fs.FileInfo) *asset {
	a := &asset{
		name:            name,
		contentType:     []byte(contentType(path.Ext(name))),
		control:         []byte(controlOf(t.Files.Cache, name)),
		representations: []representation{{file: name, coding: identity, version: versionOf(info)}},
	}
	if !compresses(string(a.contentType)) {
		return a
	}
	for c, suffix := range codingSuffixes {
		sibling, err := root.Stat(name + suffix)
		if err == nil && sibling.Mode().IsRegular() && sibling.Size() > 0 && !sibling.ModTime().Before(info.ModTime()) {
			a.representations = append(a.representations, representation{file: name + suffix, coding: coding(c), version: versionOf(sibling)})
		}
	}
	return a
}

// same reports whether nothing has changed since other was made. Nobody can tell that of what was young then.
func (a *asset) same(other *asset) bool {
	return a.name == other.name && slices.EqualFunc(a.representations, other.representations, func(x, y representation) bool {
		return x.file == y.file && x.version == y.version && !x.young && !y.young
	})
}

// with returns the asset with one of its representations loaded.
func (a *asset) with(i int, r representation) *asset {
	loaded := *a
	loaded.representations = slices.Clone(a.representations)
	loaded.representations[i] = r
	return &loaded
}

// load reads a small file, and tags it by its content: gateways that serve copies of one site then agree, and so do two builds of it.
// A larger one is tagged by its date and size.
func (r representation) load(root *os.Root) (representation, error) {
	r.setModified(time.Unix(0, r.version.modified))
	suffix := ""
	if r.coding != identity {
		suffix = "-" + string(codingNames[r.coding])
	}
	if r.version.size > smallFile {
		r.ETag = []byte(`"` + strconv.FormatInt(r.version.modified, 36) + "-" + strconv.FormatInt(r.version.size, 36) + suffix + `"`)
		return r, nil
	}
	file, err := r.open(root)
	if err != nil {
		return r, err
	}
	defer file.Close()
	body := make([]byte, r.version.size)
	if _, err := io.ReadFull(file, body); err != nil {
		return r, errors.Join(errChanged, err)
	}
	if info, err := file.Stat(); err != nil || versionOf(info) != r.version {
		return r, errors.Join(errChanged, err)
	}
	sum := sha256.Sum256(body)
	r.ETag = []byte(`"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + suffix + `"`)
	r.body, r.young = body, r.version.isYoung(time.Now())
	return r, nil
}

// open opens the version that is known, and no other.
func (r *representation) open(root *os.Root) (*os.File, error) {
	file, err := root.Open(r.file)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || versionOf(info) != r.version {
		file.Close()
		return nil, errors.Join(errChanged, err)
	}
	return file, nil
}

func (r *representation) setModified(t time.Time) {
	r.Modified = []byte(t.UTC().Format(http.TimeFormat))
	r.Time = t.Truncate(time.Second)
}

// compresses reports whether files of a media type are worth a look for precompressed siblings.
func compresses(contentType string) bool {
	if strings.HasSuffix(contentType, "charset=utf-8") {
		return true
	}
	switch contentType {
	case "application/wasm", "application/vnd.ms-fontobject", "font/ttf", "font/otf", "image/bmp", "image/x-icon":
		return true
	}
	return false
}

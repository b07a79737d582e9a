package frontend

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/page"
	"metahub/tenant"
)

const (
	indexName    = "index.html"
	notFoundName = "404.html"
)

// folder answers ctx from t's folder of files. Nothing outside it can be reached: not by "..", not by an encoding of it, and not
// through a symbolic link. Folders are not listed, and names that begin with a dot are not there, but for ".well-known".
//
// The folder is opened for each request, so that a deployment may replace it, or turn a link to it, at any time.
func (s *Server) folder(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	if !ctx.IsGet() && !ctx.IsHead() {
		page.Error(ctx, fasthttp.StatusMethodNotAllowed, "method_not_allowed", "This site can only be read.")
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		return
	}
	root, err := os.OpenRoot(t.Frontend.Folder)
	if err != nil {
		s.missingFolder(ctx, t, err)
		return
	}
	defer root.Close()
	f := &files{ctx: ctx, root: root}
	if err := f.serve(); err != nil {
		f.fail(err)
	}
}

func (s *Server) missingFolder(ctx *fasthttp.RequestCtx, t *tenant.Tenant, err error) {
	page.Error(ctx, fasthttp.StatusServiceUnavailable, "folder_missing", "This site is not here at the moment. Please try again in a minute.")
	if n := s.notices.next(missing, time.Now()); n > 0 {
		s.log.Warn("the tenant's folder cannot be opened: create it, or correct its dir: in tenants.yaml",
			zap.String("tenant", t.Slug), zap.Int64("failures", n), zap.Error(err))
	}
}

// files is one request to a folder.
type files struct {
	ctx  *fasthttp.RequestCtx
	root *os.Root
}

// serve answers with the file that the request names, or returns why there is none.
func (f *files) serve() error {
	target := f.ctx.Request.Header.RequestURI()
	if !isOriginForm(target) {
		return fs.ErrNotExist
	}
	address, query, _ := strings.Cut(string(target), "?")
	name, folder, err := fileName(address)
	if err != nil {
		return err
	}
	info, err := f.root.Stat(name)
	switch {
	case err != nil:
		return err
	case info.IsDir() && !folder:
		f.redirect("/"+name+"/", query)
		return nil
	case info.IsDir():
		name = path.Join(name, indexName)
		if info, err = f.root.Stat(name); err != nil {
			return err
		}
	case folder:
		return fs.ErrNotExist
	}
	return f.send(name, info, fasthttp.StatusOK)
}

// fileName turns the path of a request target into a name within the folder; folder says that it ended with a slash.
func fileName(target string) (name string, folder bool, err error) {
	if strings.Contains(strings.ToLower(target), "%2f") {
		return "", false, fs.ErrNotExist // a slash in a name, which no file has
	}
	decoded, err := url.PathUnescape(target)
	if err != nil || !strings.HasPrefix(decoded, "/") || strings.ContainsAny(decoded, "\\\x00") {
		return "", false, fs.ErrNotExist
	}
	if decoded == "/" {
		return ".", true, nil
	}
	name, folder = strings.CutSuffix(decoded[1:], "/")
	if !fs.ValidPath(name) || hidden(name) {
		return "", false, fs.ErrNotExist
	}
	return name, folder, nil
}

// hidden reports whether an element of a valid name begins with a dot, but for the folder of RFC 8615.
func hidden(name string) bool {
	if name == ".well-known" {
		return false
	}
	name = strings.TrimPrefix(name, ".well-known/")
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// redirect leads to the form of a folder's name that makes relative links in its index work.
func (f *files) redirect(to, query string) {
	location := url.URL{Path: to, RawQuery: query}
	f.ctx.SetStatusCode(fasthttp.StatusMovedPermanently)
	f.ctx.Response.Header.Set("Location", location.String())
}

// send answers with a regular file. Anything else is not there; a named pipe must not even be opened.
func (f *files) send(name string, info fs.FileInfo, status int) error {
	if !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	file, err := f.root.Open(name)
	if err != nil {
		return err
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return err
	}
	f.answer(file, info, status)
	return nil
}

// fail answers with the folder's own 404.html if there is one.
func (f *files) fail(err error) {
	if errors.Is(err, fs.ErrPermission) {
		page.Error(f.ctx, fasthttp.StatusForbidden, "forbidden", "This file cannot be read.")
		return
	}
	info, err := f.root.Stat(notFoundName)
	if err == nil {
		err = f.send(notFoundName, info, fasthttp.StatusNotFound)
	}
	if err != nil {
		page.Error(f.ctx, fasthttp.StatusNotFound, "not_found", "There is no page at this address.")
	}
}

package frontend

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/page"
	"metahub/tenant"
)

const (
	indexName     = "index.html"
	notFoundName  = "404.html"
	pageExtension = ".html"
)

// folder answers ctx from a folder of t's files, which is laid at the path mount: "" is the root of the site. Nothing outside it can be reached: not by "..", not by an encoding of it, and not
// through a symbolic link. Folders are listed only where t says so, and names that begin with a dot are not there, but for ".well-known".
//
// Small files are answered from memory. For all else, and for each of those after trust, the folder is opened anew, so that a deployment
// may replace it, or turn a link to it, at any time.
func (s *Server) folder(ctx *fasthttp.RequestCtx, t *tenant.Tenant, folder, mount string) {
	if !ctx.IsGet() && !ctx.IsHead() {
		page.Error(ctx, fasthttp.StatusMethodNotAllowed, "method_not_allowed", "This site can only be read.")
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		return
	}
	target := ctx.Request.Header.RequestURI()
	address, query, _ := bytes.Cut(target, question)
	if isOriginForm(target) && s.recall(ctx, t, address, fasthttp.StatusOK) {
		return
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		s.missingFolder(ctx, t, err)
		return
	}
	defer root.Close()
	f := &files{server: s, ctx: ctx, tenant: t, mount: mount, root: root, at: s.memory.now()}
	if isOriginForm(target) {
		err = f.serve(string(address), string(query))
	} else {
		err = errRefused
	}
	if err != nil {
		f.fail(err)
	}
}

var question = []byte("?")

// recall answers from memory alone, or reports that it cannot.
func (s *Server) recall(ctx *fasthttp.RequestCtx, t *tenant.Tenant, key []byte, status int) bool {
	a, fresh := s.memory.lookup(t, key)
	if !fresh {
		return false
	}
	r := &a.representations[a.choose(&ctx.Request.Header)]
	if r.body == nil {
		return false
	}
	a.answer(ctx, r, status, nil)
	return true
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
	server *Server
	ctx    *fasthttp.RequestCtx
	tenant *tenant.Tenant
	mount  string // the prefix of its addresses
	root   *os.Root
	at     time.Duration // when the folder was opened
}

// readings is how often a file that is replaced while it is read is read, and readingPause by how much longer each reading waits than the
// one before, so that a deployment costs no request: half a second in all.
const (
	readings     = 15
	readingPause = 5 * time.Millisecond
)

// serve answers with what the address leads to, or returns why there is nothing. A file that is replaced meanwhile is read again.
func (f *files) serve(address, query string) error {
	err := f.serveOnce(address, query)
	for again := 1; again < readings && errors.Is(err, errChanged); again++ {
		time.Sleep(time.Duration(again) * readingPause)
		err = f.serveOnce(address, query)
	}
	if err == nil || errors.Is(err, errChanged) {
		return err
	}
	f.server.memory.forget(f.tenant, address)
	if spa := f.tenant.Files.SPA; spa != "" && !errors.Is(err, errRefused) && !errors.Is(err, fs.ErrPermission) && f.isNavigation(address) {
		return f.sendPage(spa, fasthttp.StatusOK)
	}
	return err
}

func (f *files) serveOnce(address, query string) error {
	within, err := f.within(address)
	if err != nil {
		return err
	}
	if within == "" {
		f.redirect("/", query)
		return nil
	}
	found, err := f.find(within)
	switch {
	case err != nil:
		return err
	case found.redirect != "":
		f.redirect(found.redirect, query)
		return nil
	case found.listed:
		return f.list(found.name)
	}
	return f.send(address, found.name, found.info, fasthttp.StatusOK)
}

// within returns an address as it would be if the folder were the whole site; "" is the folder itself, without a slash.
func (f *files) within(address string) (string, error) {
	if f.mount == "" {
		return address, nil
	}
	rest, ok := pastPrefix(address, f.mount)
	switch {
	case !ok:
		return "", errRefused
	case rest == "":
		return "", nil
	}
	return "/" + withoutSlashes(rest), nil
}

// isNavigation reports whether a browser opens a page: scripts and images that are not there must not become one.
func (f *files) isNavigation(address string) bool {
	within, err := f.within(address)
	if err != nil {
		return false
	}
	name, _, err := fileName(within)
	return err == nil && (name == "." || path.Ext(name) == "") && acceptsHTML(f.ctx.Request.Header.Peek("Accept"))
}

// redirect leads to the one address of a page, a path in the folder. No browser may keep that for good, since the next deployment may lead the other way.
func (f *files) redirect(to, query string) {
	location := url.URL{Path: f.mount + to, RawQuery: query}
	f.ctx.SetStatusCode(fasthttp.StatusMovedPermanently)
	f.ctx.Response.Header.Set("Location", location.String())
	f.ctx.Response.Header.Set("Cache-Control", revalidated)
}

// sendPage answers with a page that stands in for what is not there. Its key in memory is no address, as these begin with a slash; a
// tenant may have several folders.
func (f *files) sendPage(name string, status int) error {
	key := name + "?" + f.root.Name()
	if f.server.recall(f.ctx, f.tenant, []byte(key), status) {
		return nil
	}
	info, err := f.root.Stat(name)
	if err != nil {
		return err
	}
	return f.send(key, name, info, status)
}

// send answers with a regular file, and keeps it in memory under key if it is small. Anything else is not there; a named pipe must not even
// be opened.
func (f *files) send(key, name string, info fs.FileInfo, status int) error {
	if !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	a := survey(f.root, f.tenant, name, info)
	if known, _ := f.server.memory.lookup(f.tenant, []byte(key)); known != nil && known.same(a) {
		a = known
	}
	i := a.choose(&f.ctx.Request.Header)
	if !a.representations[i].loaded() {
		loaded, err := a.representations[i].load(f.root)
		if err != nil {
			return err
		}
		a = a.with(i, loaded)
	}
	r := &a.representations[i]
	if r.body != nil {
		f.server.memory.keep(f.tenant, key, a, f.at)
		a.answer(f.ctx, r, status, nil)
		return nil
	}
	file, err := r.open(f.root)
	if err != nil {
		return err
	}
	a.answer(f.ctx, r, status, file)
	return nil
}

// fail answers with the folder's own 404.html if there is one.
func (f *files) fail(err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		page.Error(f.ctx, fasthttp.StatusForbidden, "forbidden", "This file cannot be read.")
	case errors.Is(err, errChanged):
		page.Error(f.ctx, fasthttp.StatusServiceUnavailable, "file_changing", "This file is being replaced. Please try again in a moment.")
		f.ctx.Response.Header.Set("Retry-After", "1")
	case f.sendPage(notFoundName, fasthttp.StatusNotFound) != nil:
		page.Error(f.ctx, fasthttp.StatusNotFound, "not_found", "There is no page at this address.")
	}
}

package api

import (
	"bytes"
	"sort"
	"strings"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// newRouter is the whole API on one screen.
func (a *API) newRouter() router {
	r := router{exact: map[string]*endpoint{}, items: map[string]*endpoint{}}
	r.add("/api/tenant", methods{"GET": a.showTenant})
	r.add("/api/users/login", methods{"POST": a.login})
	r.add("/api/users/logout", methods{"POST": a.logout})
	r.add("/api/users/account/me", methods{"GET": a.showAccount})
	for _, m := range a.models.All() {
		view := m.View()
		for _, base := range m.Routes {
			r.add(base, methods{"GET": a.list(m, view), "POST": a.create(m)})
			r.add(base+"/{id}", methods{"GET": a.show(m, view), "PUT": a.update(m), "PATCH": a.update(m), "DELETE": a.remove(m)})
			r.add(base+"/admin", methods{"GET": a.list(m, m.Admin), "POST": a.create(m)})
			r.add(base+"/admin/{id}", methods{"GET": a.show(m, m.Admin), "PUT": a.update(m), "PATCH": a.update(m), "DELETE": a.remove(m)})
		}
	}
	return r
}

// handler answers a request, or says why not.
type handler func(*request) (reply, error)

type methods map[string]handler

// endpoint is what one path can do.
type endpoint struct {
	methods methods
	allow   string
}

// router finds endpoints by path. It is immutable once built.
type router struct {
	exact map[string]*endpoint
	items map[string]*endpoint // by the path in front of the id, with its last slash
}

func (r *router) add(path string, m methods) {
	e := &endpoint{methods: m, allow: m.allow()}
	if prefix, ok := strings.CutSuffix(path, "{id}"); ok {
		r.items[prefix] = e
		return
	}
	r.exact[path] = e
}

func (m methods) allow() string {
	names := []string{fasthttp.MethodOptions}
	for name := range m {
		names = append(names, name)
		if name == fasthttp.MethodGet {
			names = append(names, fasthttp.MethodHead)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// find returns the handler of r and fills in r.id. It touches nothing but memory: frontends probe for routes that do not exist.
func (r *router) find(req *request) (handler, error) {
	path := req.http.Path()
	if n := len(path); n > 1 && path[n-1] == '/' {
		path = path[:n-1]
	}
	e, ok := r.exact[string(path)]
	if !ok {
		slash := bytes.LastIndexByte(path, '/') + 1
		if e, ok = r.items[string(path[:slash])]; !ok {
			return nil, errNoRoute
		}
		if req.id, ok = parseID(path[slash:]); !ok {
			return nil, errNotID
		}
	}
	return e.handler(req.http.Method())
}

func (e *endpoint) handler(method []byte) (handler, error) {
	switch string(method) {
	case fasthttp.MethodOptions:
		return e.describe, nil
	case fasthttp.MethodHead:
		method = []byte(fasthttp.MethodGet) // the server leaves the body away
	}
	if h, ok := e.methods[string(method)]; ok {
		return h, nil
	}
	return nil, methodNotAllowed(e.allow)
}

func (e *endpoint) describe(*request) (reply, error) {
	return reply{status: fasthttp.StatusNoContent, allow: e.allow}, nil
}

// parseID accepts exactly 24 hexadecimal digits: what is looser turns any 12 bytes into an id.
func parseID(text []byte) (id bson.ObjectID, ok bool) {
	if len(text) != 24 {
		return id, false
	}
	id, err := bson.ObjectIDFromHex(string(text))
	return id, err == nil
}

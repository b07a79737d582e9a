package api

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

// newRouter is the whole API on one screen.
func (a *API) newRouter(models *model.Set) (router, error) {
	r := router{exact: map[string]*endpoint{}, items: map[string]*endpoint{}}
	r.add("/api/tenant", methods{"GET": a.showTenant})
	r.add("/api/tenants", methods{"GET": a.listTenants})
	r.add("/api/_batch", methods{"GET": a.batch})
	for _, m := range models.All() {
		for _, base := range m.Routes {
			a.addModel(&r, base, m)
		}
	}
	r.add("/api/users/register", methods{"POST": a.register})
	r.add("/api/users/login", methods{"POST": a.login})
	r.add("/api/users/refresh", methods{"POST": a.refresh})
	r.add("/api/users/logout", methods{"POST": a.logout})
	r.add("/api/users/logout-all", methods{"POST": a.logoutAll})
	if users, ok := models.Named(userModel); ok {
		a.addAccount(&r, users)
	}
	a.addMailRoutes(&r)
	r.add("/api/_keys", methods{"GET": a.listKeys, "POST": a.createKey})
	r.items["/api/_keys/"] = newEndpoint(methods{"DELETE": a.revokeKey}, parseKey)
	return r, addDocs(&r, models)
}

func (a *API) addModel(r *router, base string, m *model.Model) {
	view, create := m.View(), a.once(a.create(m))
	list, adminList := methods{"GET": a.list(m, view), "POST": create}, methods{"GET": a.list(m, m.Admin), "POST": create}
	if m.Single {
		list, adminList = a.singleMethods(m, view), a.singleMethods(m, m.Admin)
	}
	r.add(base, list)
	r.add(base+"/admin", adminList)
	r.addItem(base+"/", m, a.itemMethods(m, view))
	r.addItem(base+"/admin/", m, a.itemMethods(m, m.Admin))
	r.add(base+"/_bulk", methods{"POST": a.once(a.bulk(m))})
	r.add(base+"/_events", methods{"GET": a.listen(m)})
	r.add(base+"/_export", methods{"GET": a.export(m)})
	if m.Own != nil {
		mine := *m.Own // at the base path admins see the admin view in its place; here they see what is theirs
		r.add(base+"/mine", methods{"GET": a.list(m, &mine)})
	}
	if m.Slug != nil {
		r.items[base+"/slug/"] = newEndpoint(methods{"GET": a.showSlug(m, view)}, parseSlug)
	}
	if m.Upload != nil {
		r.items[uploadPath(m)] = newEndpoint(methods{"GET": a.showFile(m)}, parseFile)
	}
	for _, action := range m.Actions {
		do := a.act(m, action)
		for _, prefix := range []string{base + "/", base + "/admin/"} {
			r.items[prefix].actions[action.Name] = newEndpoint(methods{"PUT": do, "PATCH": do}, nil)
		}
	}
	for _, part := range m.Lists {
		r.add(base+"/"+part.Name, methods{"GET": a.listOf(m, view, part.Conditions)})
	}
	if len(m.By) > 0 {
		r.items[base+"/"].by = newEndpoint(methods{"GET": a.list(m, view)}, nil)
		r.items[base+"/"].fields = m.By
	}
	for _, aggregation := range m.Aggregations {
		r.add(base+"/"+aggregation.Name, methods{"GET": a.aggregate(m, aggregation)})
	}
}

func (a *API) itemMethods(m *model.Model, view *model.View) methods {
	return methods{"GET": a.show(m, view), "PUT": a.update(m), "PATCH": a.update(m), "DELETE": a.remove(m)}
}

// singleMethods are those of a model with one document, which needs no id.
func (a *API) singleMethods(m *model.Model, view *model.View) methods {
	all := a.itemMethods(m, view)
	all["POST"] = a.once(a.create(m))
	return all
}

// handler answers a request, or says why not.
type handler func(*request) (reply, error)

type methods map[string]handler

// endpoint is what one path can do.
type endpoint struct {
	methods methods
	allow   string
	// name reads the last part of an item's path; its error is what is answered for a part that can be nothing.
	name func(*request, []byte) error
	// actions are the endpoints below an item.
	actions map[string]*endpoint
	// by is the list of the documents whose fields have the values in the last two parts of the path; nil where there is none.
	by     *endpoint
	fields []*model.Field
}

func newEndpoint(m methods, name func(*request, []byte) error) *endpoint {
	return &endpoint{methods: m, allow: m.allow(), name: name, actions: map[string]*endpoint{}}
}

// router finds endpoints by path. It is immutable once built.
type router struct {
	exact map[string]*endpoint
	items map[string]*endpoint // by the path in front of the id, with its last slash
}

func (r *router) add(path string, m methods) { r.exact[path] = newEndpoint(m, nil) }

func (r *router) addItem(prefix string, m *model.Model, all methods) {
	name := parseID
	if m.Key != nil {
		name = parseKey
	}
	r.items[prefix] = newEndpoint(all, name)
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

// find returns the handler of a request, and reads what its path names. It touches nothing but memory: frontends probe for routes that
// do not exist.
func (r *router) find(req *request) (handler, error) {
	path := req.http.Path()
	if n := len(path); n > 1 && path[n-1] == '/' {
		path = path[:n-1]
	}
	e, ok := r.exact[string(path)]
	if !ok {
		var err error
		if e, err = r.findItem(req, path); err != nil {
			return nil, err
		}
	}
	return e.handler(req.http.Method())
}

func (r *router) findItem(req *request, path []byte) (*endpoint, error) {
	slash := bytes.LastIndexByte(path, '/') + 1
	if e, ok := r.items[string(path[:slash])]; ok {
		return e, e.name(req, path[slash:])
	}
	if slash < 2 {
		return nil, errNoRoute
	}
	before := bytes.LastIndexByte(path[:slash-1], '/') + 1
	e, ok := r.items[string(path[:before])]
	if !ok {
		return nil, errNoRoute
	}
	action, ok := e.actions[string(path[slash:])]
	if !ok {
		return e.by, e.narrow(req, path[before:slash-1], path[slash:])
	}
	return action, e.name(req, path[before:slash-1])
}

// narrow reads the values of fields in a path.
func (e *endpoint) narrow(req *request, values ...[]byte) error {
	if e.by == nil {
		return errNoRoute
	}
	for i, f := range e.fields {
		if err := checkName(values[i], maxKey); err != nil {
			return err
		}
		v, err := f.Parse(string(values[i]))
		if err != nil {
			return errNoRoute
		}
		req.narrowed = append(req.narrowed, bson.E{Key: f.Name, Value: v})
	}
	return nil
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

func parseID(r *request, text []byte) (err error) {
	var ok bool
	if r.id, ok = objectID(text); !ok {
		return errNotID
	}
	return nil
}

const (
	maxKey  = 128
	maxSlug = 200
)

// parseKey takes an id, or else a key.
func parseKey(r *request, text []byte) error {
	if parseID(r, text) == nil {
		return nil
	}
	return parseName(r, text, maxKey)
}

func parseSlug(r *request, text []byte) error { return parseName(r, text, maxSlug) }

func parseName(r *request, text []byte, most int) error {
	r.name = string(text)
	return checkName(text, most)
}

func checkName(text []byte, most int) error {
	if len(text) == 0 || len(text) > most || !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return errNoRoute
	}
	return nil
}

// objectID accepts exactly 24 hexadecimal digits: what is looser turns any 12 bytes into an id.
func objectID(text []byte) (id bson.ObjectID, ok bool) {
	if len(text) != 24 {
		return id, false
	}
	id, err := bson.ObjectIDFromHex(string(text))
	return id, err == nil
}

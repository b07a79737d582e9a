package tenant

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Route is what serves the paths that begin with a prefix.
type Route struct {
	// Prefix is a decoded path without a slash at its end. "/uploads" stands for itself and all below it, "" for every path.
	Prefix string
	// Address is Prefix as it stands in an address.
	Address string
	// To serves the paths. It has no routes of its own.
	To Frontend
	// Replaced says that To gets Replacement in place of the prefix: the start of an address, without a slash at its end. For a folder
	// it is always empty.
	Replaced    bool
	Replacement string
	// Health says how the servers of To are checked.
	Health Health
}

// String is the route for people: "/uploads/ → dir:/srv/uploads".
func (r *Route) String() string { return r.Prefix + "/ → " + r.To.String() }

// Routes say what serves which paths of a site. They are immutable, and may be used by any number of goroutines at once.
type Routes struct {
	list []Route // by prefix
	root routeNode
}

// routeNode is one segment of prefixes.
type routeNode struct {
	route *Route // nil where no prefix ends
	below map[string]*routeNode
}

// All returns the routes in the order of their prefixes. The list must not be changed.
func (r *Routes) All() []Route {
	if r == nil {
		return nil
	}
	return r.list
}

// Find returns the route with the longest prefix that path begins with, or nil. Prefixes end where a segment does: "/api2" is not below
// "/api". path is decoded, with repeated slashes merged.
func (r *Routes) Find(path []byte) *Route {
	node := &r.root
	found := node.route
	for len(path) > 1 && node.below != nil {
		segment, rest := path[1:], []byte(nil)
		if end := bytes.IndexByte(segment, '/'); end >= 0 {
			segment, rest = segment[:end], segment[end:]
		}
		if node = node.below[string(segment)]; node == nil {
			break
		}
		if node.route != nil {
			found = node.route
		}
		path = rest
	}
	return found
}

// NewRoutes takes over a list, in which each prefix is there once, and sets the addresses.
func NewRoutes(list []Route) *Routes {
	slices.SortFunc(list, func(a, b Route) int { return cmp.Compare(a.Prefix, b.Prefix) })
	r := &Routes{list: list}
	for i := range list {
		list[i].Address = escapePath(list[i].Prefix)
		node := &r.root
		for segment := range strings.SplitSeq(list[i].Prefix, "/") {
			if segment == "" {
				continue // before the first slash
			}
			next := node.below[segment]
			if next == nil {
				next = &routeNode{}
				if node.below == nil {
					node.below = map[string]*routeNode{}
				}
				node.below[segment] = next
			}
			node = next
		}
		node.route = &list[i]
	}
	return r
}

func sameRoutes(a, b *Routes) bool {
	return slices.EqualFunc(a.All(), b.All(), func(a, b Route) bool {
		return a.Prefix == b.Prefix && a.Replaced == b.Replaced && a.Replacement == b.Replacement && a.Health == b.Health && a.To.same(&b.To)
	})
}

const (
	maxRoutes    = 100
	maxPrefixLen = 200
)

// parsePrefix reads a path such as "/uploads/", and returns it without the slash at its end.
func parsePrefix(text string) (string, error) {
	const form = "write it like \"/uploads/\""
	prefix := strings.TrimSuffix(text, "/")
	switch {
	case !strings.HasPrefix(text, "/"):
		return "", fmt.Errorf("%q is no path: begin it with \"/\", like \"/uploads/\"", clip(text))
	case len(text) > maxPrefixLen:
		return "", fmt.Errorf("%q is longer than %d bytes", clip(text), maxPrefixLen)
	case strings.ContainsAny(text, `%?#*\`) || strings.ContainsFunc(text, unicode.IsControl):
		return "", fmt.Errorf("%q holds one of %% ? # * \\: %s, without encodings or patterns", clip(text), form)
	}
	for i, segment := range strings.Split(prefix, "/") {
		if i > 0 && (segment == "" || segment == "." || segment == "..") {
			return "", fmt.Errorf("%q has an empty segment, \".\" or \"..\": %s", clip(text), form)
		}
	}
	return prefix, nil
}

// below reports whether a prefix is another one or begins with it.
func below(prefix, other string) bool {
	rest, ok := strings.CutPrefix(prefix, other)
	return ok && (rest == "" || rest[0] == '/')
}

// escapePath writes a decoded path as it stands in an address.
func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

const (
	keyRouteTo = iota
	keyRouteStrip
	keyRouteRewrite
	keyRouteHealth
)

var routeKeys = []string{keyRouteTo: "to", keyRouteStrip: "strip", keyRouteRewrite: "rewrite", keyRouteHealth: "health"}

// frontendRoutes reads a frontend that is a map of prefixes.
func (e *entry) frontendRoutes() *Routes {
	n := e.fields[keyFrontend]
	routes := e.routes(n, "frontend", e.tenant.Health, func(r *Route) error {
		if below(r.Prefix, "/api") {
			return errors.New("would never be asked, as /api/ is the backend's: write it in the map of backend")
		}
		return nil
	})
	if routes != nil && routes.root.route == nil {
		e.fault(e.place(n), "frontend does not say what serves all other paths: add a line like /: http://127.0.0.1:3000")
	}
	return routes
}

// backendRoutes reads a backend that is a map of prefixes. What none of them covers is the embedded API's.
func (e *entry) backendRoutes() *Routes {
	return e.routes(e.fields[keyBackend], "backend", e.tenant.BackendHealth, func(r *Route) error {
		switch {
		case !below(r.Prefix, "/api"):
			return errors.New("is not below /api/: write it in the map of frontend")
		case r.To.Folder != "":
			return errors.New("leads to a folder: name a server, like http://127.0.0.1:5000")
		}
		return nil
	})
}

// routes reads a map of prefixes, of which check says what is wrong with one. It returns nil where nothing of the map can be used.
func (e *entry) routes(n *yaml.Node, name string, health Health, check func(*Route) error) *Routes {
	if count := len(n.Content) / 2; count == 0 || count > maxRoutes {
		e.fault(e.place(n), "%s has %d prefixes: write 1 to %d, like {\"/\": http://127.0.0.1:3000}", name, count, maxRoutes)
		return nil
	}
	var list []Route
	lines := map[string]int{}
	whole := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, to := n.Content[i], n.Content[i+1]
		prefix, err := parsePrefix(key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			err = errors.New("has a prefix that is no text: write it like \"/uploads/\"")
		case err == nil && lines[prefix] > 0:
			err = fmt.Errorf("%q is here twice (line %d too), with or without the slash at its end: keep one", key.Value, lines[prefix])
		}
		if err != nil {
			e.fault(e.place(key), "%s %v", name, err)
			whole = false
			continue
		}
		lines[prefix] = key.Line
		route := Route{Prefix: prefix, Health: health}
		title := fmt.Sprintf("%s %q", name, prefix+"/")
		e.route(&route, to, title)
		if err := check(&route); err != nil {
			e.fault(e.place(key), "%s %v", title, err)
		}
		list = append(list, route)
	}
	if !whole {
		return nil
	}
	return NewRoutes(list)
}

// route reads what a prefix leads to: a URL, a folder, a list of URLs, or {to: one of these, strip: true}.
func (e *entry) route(r *Route, n *yaml.Node, name string) {
	to, strip := n, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode {
		fields := e.mapping(n, name, routeKeys)
		if to = fields[keyRouteTo]; to == nil {
			e.fault(e.place(n), "%s does not say where to: write it like {to: http://127.0.0.1:3000, strip: true}", name)
			return
		}
		strip = fields[keyRouteStrip]
		e.rewrite(r, fields, name)
		e.routeHealth(r, fields[keyRouteHealth], name+" health")
	}
	r.To = e.target(to, name)
	if r.To.Folder == "" {
		return
	}
	if r.Replacement != "" {
		e.fault(e.place(n), "%s has a rewrite, but leads to a folder: name the folder that the prefix stands for", name)
	}
	if strip == nil {
		r.Replaced = true // a folder is laid at its prefix
	}
}

// target reads a URL, a folder or a list of URLs.
func (e *entry) target(n *yaml.Node, name string) (to Frontend) {
	if n.Kind == yaml.SequenceNode {
		to.URL, to.Upstreams = only(e.upstreams(n, name))
		return to
	}
	v, ok := e.decoder.text(n, name)
	if !ok {
		return to
	}
	to, err := parseFrontend(v.text, e.doc)
	if err != nil {
		e.fault(v.at, "%s %v", name, err)
		e.awaitFolder(v.text)
	}
	e.keepPrivate(to.Folder, v.at, fmt.Sprintf("%s %q", name, clip(v.text)))
	return to
}

func (e *entry) rewrite(r *Route, fields []*yaml.Node, name string) {
	strip, _ := e.boolean(fields[keyRouteStrip], name+" strip")
	r.Replaced = strip
	v, ok := e.decoder.text(fields[keyRouteRewrite], name+" rewrite")
	if !ok {
		return
	}
	prefix, err := parsePrefix(v.text)
	switch {
	case err != nil:
		e.fault(v.at, "%s rewrite %v", name, err)
	case strip:
		e.fault(v.at, "%s has both strip and rewrite: keep one, as rewrite takes the prefix off too", name)
	}
	r.Replaced, r.Replacement = true, escapePath(prefix)
}

func (e *entry) routeHealth(r *Route, n *yaml.Node, name string) {
	if v, ok := e.decoder.text(n, name); ok {
		r.Health = e.checks.of(e.decoder.healthPath(v, name))
	}
}

// keptRoute is a Route in the file of last good versions.
type keptRoute struct {
	Prefix      string         `json:"prefix"`
	Folder      string         `json:"folder,omitempty"`
	URL         string         `json:"url,omitempty"`
	Upstreams   []keptUpstream `json:"upstreams,omitempty"`
	Replaced    bool           `json:"replaced,omitempty"`
	Replacement string         `json:"replacement,omitempty"`
	Health      Health         `json:"health"`
}

func keepRoutes(routes *Routes) []keptRoute {
	var kept []keptRoute
	for _, r := range routes.All() {
		kept = append(kept, keptRoute{r.Prefix, r.To.Folder, urlText(r.To.URL), keepUpstreams(r.To.Upstreams), r.Replaced, r.Replacement, r.Health})
	}
	return kept
}

// readRoutes is the inverse of keepRoutes.
func readRoutes(kept []keptRoute) (*Routes, error) {
	if len(kept) == 0 {
		return nil, nil
	}
	var list []Route
	seen := map[string]bool{}
	for _, k := range kept {
		r, err := k.route()
		if err != nil {
			return nil, err
		}
		if seen[r.Prefix] || len(list) == maxRoutes {
			return nil, fmt.Errorf("the prefix %q is one too many", r.Prefix)
		}
		seen[r.Prefix] = true
		list = append(list, r)
	}
	return NewRoutes(list), nil
}

func (k keptRoute) route() (r Route, err error) {
	prefix, err := parsePrefix(k.Prefix + "/")
	replacement, bad := url.PathUnescape(k.Replacement)
	if bad == nil {
		replacement, bad = parsePrefix(replacement + "/")
	}
	r = Route{
		Prefix: prefix, To: Frontend{Folder: k.Folder}, Replaced: k.Replaced, Replacement: escapePath(replacement), Health: k.Health,
	}
	err = errors.Join(err, bad, k.Health.check())
	if k.URL != "" {
		r.To.URL, bad = parseUpstream(k.URL)
		err = errors.Join(err, bad)
	}
	r.To.Upstreams, bad = readUpstreams(k.Upstreams)
	err = errors.Join(err, bad)
	if r.To.IsZero() {
		err = errors.Join(err, fmt.Errorf("the prefix %q leads nowhere", prefix))
	}
	return r, err
}

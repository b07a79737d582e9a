package tenant

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Source says where settings come from.
type Source struct {
	// Path is tenants.yaml. Paths in it are relative to its folder.
	Path string
	// Flags may be nil. A flag named like a key ("gateway.https") goes before everything else when it was set.
	Flags *pflag.FlagSet
	// Environ is as os.Environ gives it. METAHUB_GATEWAY_HTTPS and the like go before the file; ${VAR} and env:VAR are looked up in it.
	Environ []string
}

// Load reads and checks everything, on its own: nothing is kept of earlier loads, and nothing is written. Tenants at fault are left
// out of the Directory; it is nil when there is a fault outside the tenants. A tenant without jwt_secret has a passing one.
func Load(source Source) (*Directory, Faults) {
	l := begin(source)
	l.complete(nil, passingSecrets)
	return l.directory, l.faults()
}

// loading is one pass over all files, from bytes to a Directory.
type loading struct {
	source  Source
	environ map[string]string
	inputs  *inputs

	main     *document // nil when it cannot be read
	fields   []*yaml.Node
	settings *settings
	gateway  Gateway

	last         *Directory           // what is served now, or was before a restart; nil at the first load
	documents    []*document          // all that can be read, the main one first
	declarations []*declaration       // in the order of the files
	unreadable   map[string]bool      // files of which it cannot be told which tenants they declare
	vanished     map[string][]*Tenant // tenants of the last Directory that nobody declares any more, by file
	outside      Faults               // faults that keep the whole last Directory
	inside       Faults               // faults of single tenants and of included files
	directory    *Directory           // nil when there is a fault outside the tenants
}

// begin reads the main file as far as the settings outside the tenants.
func begin(source Source) *loading {
	l := &loading{
		source:     source,
		environ:    environOf(source.Environ),
		inputs:     newInputs(),
		unreadable: map[string]bool{},
	}
	doc, fault := l.read(source.Path)
	if fault != nil {
		l.outside = Faults{*fault}
		return l
	}
	l.main = doc
	d := &decoder{doc: doc, faults: &l.outside}
	l.fields = d.mapping(doc.root, "the file", mainKeys)
	secrets := secretReader{environ: l.environ, resolve: doc.name, read: l.inputs.small}
	l.settings = readSettings(d, l.fields[keyGateway], l.fields[keyDefaults], source, secrets)
	l.gateway = l.settings.compileGateway()
	return l
}

// complete reads the tenants, and settles them with what is served now. secrets gives the made secrets of tenants that declare none;
// it is not called when there is a fault outside the tenants.
func (l *loading) complete(last *Directory, secrets func(slugs []string) (map[string]ring, error)) {
	if l.main == nil {
		return
	}
	l.last = last
	d := l.settings.decoder
	certificates := &l.gateway.Certificates
	base := l.settings.compileDefaults(certificates.DNS)
	files := tenantFiles{
		inputs: l.inputs, environ: l.environ, envFiles: l.envFiles(), private: l.privatePaths(),
		dns: certificates.DNS, storage: certificates.databaseKey(),
	}
	included := l.include(d, l.fields[keyInclude])
	l.declareMain(d, base, files)
	for _, path := range included {
		l.declareIncluded(path, base, files)
	}
	l.checkUnknownHost()
	l.finish(secrets)
}

// read parses one file.
func (l *loading) read(path string) (*document, *Fault) {
	data, err := l.inputs.content(path)
	if err != nil {
		return nil, &Fault{File: path, Message: "the file " + err.Error()}
	}
	doc, fault := parseDocument(path, data)
	if fault == nil {
		l.documents = append(l.documents, doc)
	}
	return doc, fault
}

func environOf(entries []string) map[string]string {
	environ := make(map[string]string, len(entries))
	for _, entry := range entries {
		name, text, _ := strings.Cut(entry, "=")
		environ[name] = text
	}
	return environ
}

// faults returns all faults in order.
func (l *loading) faults() Faults {
	all := slices.Concat(l.outside, l.inside)
	all.sort()
	return all
}

// The keys of the main file, in the order of mainKeys.
const (
	keyGateway = iota
	keyDefaults
	keyInclude
	keyTenants
)

var mainKeys = []string{keyGateway: "gateway", keyDefaults: "defaults", keyInclude: "include", keyTenants: "tenants"}

// envFiles lists the .env.<slug> files of gateway.env_dir.
func (l *loading) envFiles() map[string]string {
	if l.settings.existingFolder("gateway.env_dir") == "" {
		return nil
	}
	folder := l.main.name(l.settings.text("gateway.env_dir").text)
	paths, _ := l.inputs.glob(filepath.Join(escapePattern(folder), ".env.*"))
	files := make(map[string]string, len(paths))
	for _, path := range paths {
		files[strings.TrimPrefix(filepath.Base(path), ".env.")] = path
	}
	return files
}

// privatePaths are what no site may hand out.
func (l *loading) privatePaths() []privatePath {
	file := privatePath{path: l.main.absolute(filepath.Base(l.main.path)), what: "this file"}
	paths := []privatePath{
		file,
		{path: l.gateway.Data, what: "the data folder"},
		{path: l.gateway.Certificates.Folder, what: "the private keys"},
		{path: l.gateway.Certificates.StorageFolder, what: "the private keys"},
	}
	for i, p := range paths[1:] {
		paths[i+1].whole = p.path != "" && !file.isBelow(p.path) // else all of the administrator's files are in it
	}
	return paths
}

// escapePattern makes a path that filepath.Glob takes literally.
func escapePattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// include returns the files that the patterns of include: match, sorted and each once.
func (l *loading) include(d *decoder, n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	var patterns []value
	if n.Kind == yaml.ScalarNode {
		if v, ok := d.text(n, "include"); ok {
			patterns = append(patterns, v)
		}
	} else {
		patterns = d.list(n, "include", "tenants.d/*.yaml")
	}
	found := map[string]bool{}
	for _, pattern := range patterns {
		paths, err := l.inputs.glob(d.doc.name(pattern.text))
		switch {
		case err != nil || pattern.text == "":
			d.fault(pattern.at, "include %q is not a pattern: write it like \"tenants.d/*.yaml\"", clip(pattern.text))
		case len(paths) == 0 && !strings.ContainsAny(pattern.text, "*?["):
			d.fault(pattern.at, "include %q is not there: make the file or correct the path", clip(pattern.text))
		}
		for _, path := range paths {
			found[path] = filepath.Clean(path) != filepath.Clean(d.doc.path)
		}
	}
	maps.DeleteFunc(found, func(_ string, other bool) bool { return !other })
	return slices.Sorted(maps.Keys(found))
}

// declareMain reads the tenants of the main file.
func (l *loading) declareMain(d *decoder, base Tenant, files tenantFiles) {
	switch n := l.fields[keyTenants]; {
	case n == nil && l.fields[keyInclude] != nil:
	case n == nil:
		d.fault(place{file: l.main.path}, "there are no tenants: write tenants: and a list below it, or include: other files")
	case n.Kind != yaml.SequenceNode:
		d.fault(d.place(n), "tenants is %s: write a list, one \"- slug: …\" a tenant", kindOf(n))
	default:
		l.declareList(l.main, n, base, files)
	}
}

// declareIncluded reads a file of include:. What is wrong with it concerns its own tenants only.
func (l *loading) declareIncluded(path string, base Tenant, files tenantFiles) {
	doc, fault := l.read(path)
	if fault != nil {
		l.inside = append(l.inside, *fault)
		l.unreadable[path] = true
		return
	}
	d := &decoder{doc: doc, faults: &l.inside}
	n := d.mapping(doc.root, "an included file", mainKeys[keyTenants:])[0]
	if n == nil || n.Kind != yaml.SequenceNode {
		d.fault(place{file: path}, "an included file needs tenants: with a list below it")
		l.unreadable[path] = true
		return
	}
	l.declareList(doc, n, base, files)
}

func (l *loading) declareList(doc *document, n *yaml.Node, base Tenant, files tenantFiles) {
	for i, item := range n.Content {
		decl := declare(decoder{doc: doc, faults: &l.inside}, item, base, files)
		l.declarations, doc.end = append(l.declarations, decl), decl
		if decl.slug == "" {
			l.unreadable[doc.path] = true
		}
		n.Content[i] = nil // the tree is the larger part of the memory of a load
	}
}

func (l *loading) checkUnknownHost() {
	slug := l.gateway.UnknownHost
	if slug == "" {
		return
	}
	slugs := make([]string, 0, len(l.declarations))
	for _, decl := range l.declarations {
		if decl.slug == slug {
			return
		}
		slugs = append(slugs, decl.slug)
	}
	hint := "write the slug of one, or leave the key out to answer 421"
	if near := nearest(slug, slugs); near != "" {
		hint = "did you mean \"" + near + "\"?"
	}
	l.settings.fault(l.settings.at("gateway.unknown_host", 0), "gateway.unknown_host: there is no tenant %q: %s", clip(slug), hint)
}

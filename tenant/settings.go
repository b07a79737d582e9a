package tenant

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// setting is one key outside the tenants, with what holds when nobody sets it.
type setting struct {
	key      string
	fallback any // string, bool, []string or Codings; tells the type as well. []*yaml.Node is a list that only the file can hold
}

// allSettings lists every key of gateway: and defaults:. They are bound one by one, since viper finds no variable of the environment
// for a key that it has not heard of.
var allSettings = []setting{
	{"gateway.https", ":8443"},
	{"gateway.http", ":8080"},
	{"gateway.admin", "127.0.0.1:9180"},
	{"gateway.http2", EngineHTTP2},
	{"gateway.http3", "on"}, // or a mapping of what is below it
	{"gateway.http3.alt_svc_port", ""},
	{"gateway.api_hosts", []string(nil)},
	{"gateway.unknown_host", ""},
	{"gateway.certificates.issuer", ""}, // depends on gateway.demo
	{"gateway.certificates.fallback", ""},
	{"gateway.certificates.folder", "certs"},
	{"gateway.certificates.storage", ""},
	{"gateway.certificates.storage_key", ""},
	{"gateway.certificates.ca_root", ""},
	{"gateway.certificates.email", ""},
	{"gateway.certificates.eab.key_id", ""},
	{"gateway.certificates.eab.hmac_key", ""},
	{"gateway.certificates.fallback_eab.key_id", ""},
	{"gateway.certificates.fallback_eab.hmac_key", ""},
	{"gateway.certificates.profile", ""},
	{"gateway.certificates.key", "p256"},
	{"gateway.certificates.staging", false},
	{"gateway.certificates.challenges", []string(nil)},
	{"gateway.certificates.dns", []*yaml.Node(nil)},
	{"gateway.certificates.rehearsal", true},
	{"gateway.certificates.resolver", ""},
	{"gateway.certificates.addresses", []string(nil)},
	{"gateway.certificates.validation_port", "80"},
	{"gateway.certificates.limits", ""},
	{"gateway.trusted_proxies", []string(nil)},
	{"gateway.proxy_protocol", []string(nil)},
	{"gateway.data", "data"},
	{"gateway.models", ""},
	{"gateway.env_dir", ""},
	{"gateway.demo", false},
	{"gateway.concurrency", ""}, // depends on the processors
	{"gateway.client_connection_rate", "50"},
	{"gateway.cache", "256MiB"},
	{"defaults.frontend", ""},
	{"defaults.backend", ""},
	{"defaults.mongo_uri", ""},
	{"defaults.database_recheck", "0s"},
	{"defaults.redirect_to_canonical", false},
	{"defaults.enabled", true},
	{"defaults.body_limit", "10MiB"},
	{"defaults.timeout", "60s"},
	{"defaults.hold", "10s"},
	{"defaults.balance", "round_robin"},
	{"defaults.upstream_connections", "256"},
	{"defaults.limits.rate", ""},
	{"defaults.limits.burst", ""},
	{"defaults.limits.client_rate", ""},
	{"defaults.limits.client_burst", ""},
	{"defaults.limits.concurrency", ""},
	{"defaults.limits.connections", ""},
	{"defaults.weight", ""},
	{"defaults.certificate.issuer", ""},
	{"defaults.certificate.dns", ""},
	{"defaults.files.clean_urls", true},
	{"defaults.files.spa", ""},
	{"defaults.files.listing", false},
	{"defaults.files.cache", []*yaml.Node(nil)},
	{"defaults.compress", AllCodings()},
	{"defaults.health.path", ""},
	{"defaults.health.backend_path", ""},
	{"defaults.health.interval", "10s"},
	{"defaults.health.timeout", "2s"},
	{"defaults.health.status", "200-399"},
	{"defaults.health.host", ""},
	{"defaults.uploads", "1GiB"},
	{"defaults.mail", ""}, // or a mapping of what is below it
	{"defaults.mail.server", ""},
	{"defaults.mail.from", ""},
	{"defaults.cache", "on"}, // or a mapping of what is below it
	{"defaults.cache.size", "32MiB"},
	{"defaults.cache.entry", ""}, // depends on the size
	{"defaults.cache.stale_shield", true},
}

// settings are the values outside the tenants in viper's order: flags, environment, file, defaults. A viper lives for one load, and
// never sees the tenants: it lower-cases keys and splits them at dots.
type settings struct {
	*decoder
	viper   *viper.Viper
	secrets secretReader
	doc     map[string]any          // what the file says, by full key
	nodes   map[string][]*yaml.Node // the items of lists that only the file can hold
	where   map[string][]place      // of each value, or of each item of a list
}

// readSettings merges all layers. Nodes may be nil.
func readSettings(d *decoder, gateway, defaults *yaml.Node, source Source, secrets secretReader) *settings {
	s := &settings{
		decoder: d,
		viper:   viper.NewWithOptions(viper.KeyDelimiter("/")), // keys stay flat
		secrets: secrets,
		doc:     map[string]any{},
		nodes:   map[string][]*yaml.Node{},
		where:   map[string][]place{},
	}
	s.readFile(gateway, "gateway")
	s.readFile(defaults, "defaults")
	for _, known := range allSettings {
		s.viper.SetDefault(known.key, known.fallback)
	}
	s.merge(s.doc)
	s.merge(s.readEnviron(source.Environ))
	s.bindFlags(source)
	return s
}

// merge puts a layer above those before. The environment is such a layer too: viper's own reading of it would bypass Source.
func (s *settings) merge(layer map[string]any) {
	if err := s.viper.MergeConfigMap(layer); err != nil {
		s.fault(place{file: s.decoder.doc.path}, "the settings cannot be merged: %v", err)
	}
}

// readFile takes over the mapping below prefix.
func (s *settings) readFile(n *yaml.Node, prefix string) {
	if n == nil {
		return
	}
	keys := keysBelow(prefix)
	for i, field := range s.mapping(n, prefix, keys) {
		if field != nil {
			s.readField(field, prefix+"."+keys[i])
		}
	}
}

func (s *settings) readField(n *yaml.Node, key string) {
	at := slices.IndexFunc(allSettings, func(known setting) bool { return known.key == key })
	if at < 0 || n.Kind == yaml.MappingNode && len(keysBelow(key)) > 0 {
		s.readFile(n, key)
		return
	}
	switch allSettings[at].fallback.(type) {
	case bool:
		if truth, ok := s.decoder.boolean(n, key); ok {
			s.doc[key], s.where[key] = truth, []place{s.place(n)}
		}
	case []string:
		var texts []string
		var places []place
		for _, item := range s.decoder.list(n, key, "one, another") {
			texts, places = append(texts, item.text), append(places, item.at)
		}
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			places = []place{s.place(n)}
		}
		s.doc[key], s.where[key] = texts, places
	case Codings:
		if v, ok := s.decoder.codings(n, key); ok {
			s.doc[key], s.where[key] = v.text, []place{v.at}
		}
	case []*yaml.Node:
		if n.Kind != yaml.SequenceNode {
			s.fault(s.place(n), "%s is %s: write a list, one \"- name: …\" an item", key, kindOf(n))
			return
		}
		s.nodes[key] = n.Content
	default:
		if v, ok := s.decoder.text(n, key); ok {
			s.doc[key], s.where[key] = v.text, []place{v.at}
		}
	}
}

// keysBelow lists the keys of one mapping, in the order of allSettings.
func keysBelow(prefix string) []string {
	var keys []string
	for _, known := range allSettings {
		rest, below := strings.CutPrefix(known.key, prefix+".")
		key, _, _ := strings.Cut(rest, ".")
		if below && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

const environPrefix = "METAHUB_"

// readEnviron picks METAHUB_GATEWAY_HTTPS and the like. A near miss of a known name is a fault. Other names are left alone: container
// platforms add some that begin like ours, such as METAHUB_GATEWAY_SERVICE_HOST. As with viper, an empty variable counts as unset.
func (s *settings) readEnviron(environ []string) map[string]any {
	names := make(map[string]string, len(allSettings))
	fileOnly := map[string]bool{}
	for _, known := range allSettings {
		names[environPrefix+strings.ToUpper(strings.ReplaceAll(known.key, ".", "_"))] = known.key
		_, fileOnly[known.key] = known.fallback.([]*yaml.Node)
	}
	sorted := slices.Sorted(maps.Keys(names))
	layer := map[string]any{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		key, known := names[name]
		switch {
		case !strings.HasPrefix(name, environPrefix+"GATEWAY_") && !strings.HasPrefix(name, environPrefix+"DEFAULTS_"), text == "":
		case known && fileOnly[key]:
			s.fault(place{file: name}, "%s can only be written in the file: unset the variable", key)
		case known:
			layer[key], s.where[key] = text, []place{{file: name}}
		default:
			if near := nearest(name, sorted); near != "" && editDistance(name, near) <= 2 {
				s.fault(place{file: name}, "there is no such setting: did you mean %s?", near)
			}
		}
	}
	return layer
}

func (s *settings) bindFlags(source Source) {
	if source.Flags == nil {
		return
	}
	for _, known := range allSettings {
		flag := source.Flags.Lookup(known.key)
		if flag == nil || !flag.Changed {
			continue
		}
		if err := s.viper.BindPFlag(known.key, flag); err != nil {
			s.fault(place{file: "--" + known.key}, "the flag cannot be read: %v", err)
		}
		s.where[known.key] = []place{{file: "--" + known.key}}
	}
}

// at is where the i-th item of a key was written.
func (s *settings) at(key string, i int) place {
	places := s.where[key]
	switch {
	case i < len(places):
		return places[i]
	case len(places) > 0:
		return places[0]
	}
	return place{file: s.decoder.doc.path}
}

func (s *settings) text(key string) value { return value{s.viper.GetString(key), s.at(key, 0)} }

// list returns the items of a list; a flag or variable separates them with commas or spaces.
func (s *settings) list(key string) []value {
	var texts []string
	switch raw := s.viper.Get(key).(type) {
	case string:
		texts = strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == ' ' })
	case []string:
		texts = raw
	}
	values := make([]value, len(texts))
	for i, text := range texts {
		values[i] = value{text, s.at(key, i)}
	}
	return values
}

func (s *settings) boolean(key string) bool {
	switch raw := s.viper.Get(key).(type) {
	case bool:
		return raw
	case string:
		truth, err := strconv.ParseBool(raw)
		if err == nil {
			return truth
		}
	}
	s.fault(s.at(key, 0), "%s is neither true nor false: write one of them", key)
	return false
}

// check notes an error about the value of a key, as a sentence that begins with the key.
func (s *settings) check(key string, at place, err error) {
	if err != nil {
		s.fault(at, "%s %v", key, err)
	}
}

package tenant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// dnsKind is what one kind of DNS provider must and may be told. How one is opened stands in gateway/certificate/issuer.
type dnsKind struct {
	required, optional []string
}

var dnsKinds = map[string]dnsKind{
	"cloudflare": {required: []string{"api_token"}, optional: []string{"zone_token"}},
	"hetzner":    {required: []string{"api_token"}},
	"route53": {optional: []string{
		"access_key_id", "secret_access_key", "session_token", "region", "hosted_zone_id",
	}},
	"rfc2136": {required: []string{"server", "key_name", "key"}, optional: []string{"key_alg"}},
}

// DNSKinds are the kinds of DNS providers that there are, sorted.
func DNSKinds() []string { return slices.Sorted(maps.Keys(dnsKinds)) }

// DNSSettings are the settings that a kind of DNS provider must and may have; ok is false for a kind that there is not.
func DNSSettings(kind string) (required, optional []string, ok bool) {
	known, ok := dnsKinds[kind]
	return slices.Clone(known.required), slices.Clone(known.optional), ok
}

// usualKeyAlgorithm signs updates to an rfc2136 provider unless key_alg says otherwise (RFC 8945 §6).
const usualKeyAlgorithm = "hmac-sha256"

const dnsKey = certificatesKey + "dns"

// dnsProviders reads the list gateway.certificates.dns. One at fault is in the result too, so that its name is known.
func (s *settings) dnsProviders() []DNSProvider {
	var providers []DNSProvider
	lines := map[string]int{}
	for _, n := range s.nodes[dnsKey] {
		provider := s.dnsProvider(n)
		if provider.Name == "" {
			continue
		}
		if line, taken := lines[provider.Name]; taken {
			s.fault(s.place(n), "%s: the name %q is here twice (line %d too): give each provider its own", dnsKey, provider.Name, line)
			continue
		}
		lines[provider.Name] = n.Line
		providers = append(providers, provider)
	}
	return providers
}

// dnsProvider reads one of the list. Its kind says which keys it may have, so that is read before the others.
func (s *settings) dnsProvider(n *yaml.Node) DNSProvider {
	provider := DNSProvider{Name: scalarOf(n, "name"), Kind: scalarOf(n, "provider")}
	known, ok := dnsKinds[provider.Kind]
	if !ok {
		s.unknownKind(n, provider.Kind)
		return provider
	}
	keys := slices.Concat([]string{"name", "provider"}, known.required, known.optional)
	fields := s.mapping(n, fmt.Sprintf("a DNS provider of the kind %q", provider.Kind), keys)
	s.dnsName(n, fields[0])
	s.decoder.text(fields[1], dnsKey+": provider")
	provider.Settings = s.dnsSettings(keys[2:], fields[2:])
	for i, key := range known.required {
		if fields[2+i] == nil {
			s.fault(s.place(n), "%s: a provider of the kind %q needs %s: write it, like %s: env:%s", dnsKey, provider.Kind, key, key, strings.ToUpper("dns_"+key))
		}
	}
	if provider.Kind == "rfc2136" {
		s.completeUpdates(provider.Settings, fields[2])
	}
	return provider
}

// unknownKind notes why it cannot be told which keys an item may have.
func (s *settings) unknownKind(n *yaml.Node, kind string) {
	kinds := DNSKinds()
	switch {
	case n.Kind != yaml.MappingNode:
		s.fault(s.place(n), "an item of %s is %s: write it like {name: main, provider: cloudflare, api_token: env:CLOUDFLARE_TOKEN}", dnsKey, kindOf(n))
	case kind == "":
		s.fault(s.place(n), "%s: there is no provider: write one of %s", dnsKey, quotedList(kinds))
	default:
		_, err := parseChoice(kind, kinds, "")
		s.fault(s.place(n), "%s: provider %v", dnsKey, err)
	}
}

// scalarOf is the text of a key before anything is checked, or "".
func scalarOf(n *yaml.Node, key string) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; n.Content[i].Value == key && v.Kind == yaml.ScalarNode && v.ShortTag() != "!!null" {
			return v.Value
		}
	}
	return ""
}

func (s *settings) dnsName(entry, n *yaml.Node) {
	if n == nil {
		s.fault(s.place(entry), "%s: the provider has no name: write one, like name: main", dnsKey)
		return
	}
	if v, ok := s.decoder.text(n, dnsKey+": name"); ok {
		if err := parseSlug(v.text); err != nil {
			s.fault(v.at, "%s: name %q is not one: write 1 to 63 of a-z, 0-9 and \"-\"", dnsKey, clip(v.text))
		}
	}
}

// dnsSettings reads the values that are particular to a kind. Any of them may refer to a variable or a file.
func (s *settings) dnsSettings(keys []string, fields []*yaml.Node) map[string]Secret {
	values := map[string]Secret{}
	for i, n := range fields {
		v, ok := s.decoder.text(n, dnsKey+": "+keys[i])
		if !ok {
			continue
		}
		text, err := s.secrets.reveal(v.text)
		switch {
		case err != nil:
			s.fault(v.at, "%s: %s %v", dnsKey, keys[i], err)
		case text == "":
			s.fault(v.at, "%s: %s is empty: write a value or leave the key out", dnsKey, keys[i])
		case strings.ContainsFunc(text, unicode.IsControl):
			s.fault(v.at, "%s: %s %v", dnsKey, keys[i], errControl)
		default:
			values[keys[i]] = NewSecret(text)
		}
	}
	return values
}

// completeUpdates gives the server of dynamic updates (RFC 2136) its port, and the key its algorithm.
func (s *settings) completeUpdates(values map[string]Secret, server *yaml.Node) {
	if written, ok := values["server"]; ok {
		address, err := parseServer(written.Reveal())
		if err != nil { // the error quotes the value, which may be anything that a variable holds
			s.fault(s.place(server), "%s: server is not the address of a DNS server: write it like \"192.0.2.53\" or \"ns1.example.com:53\"", dnsKey)
		}
		values["server"] = NewSecret(address)
	}
	if _, ok := values["key_alg"]; !ok {
		values["key_alg"] = NewSecret(usualKeyAlgorithm)
	}
}

package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// compileGateway checks the settings outside the tenants. What needs the tenants (unknown_host, api_hosts that a tenant serves) is
// checked when these are known.
func (s *settings) compileGateway() Gateway {
	g := Gateway{
		HTTPS:       s.address("gateway.https"),
		HTTP:        s.address("gateway.http"),
		Admin:       s.address("gateway.admin"),
		UnknownHost: s.text("gateway.unknown_host").text,
		Data:        s.folder("gateway.data"),
		Models:      s.existingFolder("gateway.models"),
		Demo:        s.boolean("gateway.demo"),
		Concurrency: s.compileConcurrency(),
		Cache:       s.compileCacheSize(),

		ClientConnectionRate: s.compileClientConnectionRate(),
	}
	if g.HTTPS == "" {
		s.check("gateway.https", s.at("gateway.https", 0), errors.New("is empty: write a listen address like \":8443\""))
	}
	if g.Admin == "" {
		s.check("gateway.admin", s.at("gateway.admin", 0), errors.New("is empty: write a listen address like \"127.0.0.1:9180\""))
	}
	s.checkDistinct("gateway.https", "gateway.http", "gateway.admin")
	g.HTTP2 = s.compileHTTP2()
	g.HTTP3 = s.compileHTTP3()
	g.Certificates = s.compileCertificates(&g)
	for _, host := range s.list("gateway.api_hosts") {
		g.APIHosts = s.appendAPIHost(g.APIHosts, host)
	}
	g.TrustedProxies = s.proxies("gateway.trusted_proxies")
	g.ProxyProtocol = s.proxies("gateway.proxy_protocol")
	return g
}

// proxies reads a list of addresses and networks.
func (s *settings) proxies(key string) []netip.Prefix {
	var list []netip.Prefix
	for _, proxy := range s.list(key) {
		prefix, err := parseProxy(proxy.text)
		s.check(key, proxy.at, err)
		if err == nil {
			list = append(list, prefix)
		}
	}
	return list
}

func (s *settings) compileHTTP2() string {
	v := s.text("gateway.http2")
	if v.text != StandardHTTP2 && v.text != EngineHTTP2 {
		s.check("gateway.http2", v.at, fmt.Errorf("%q is no HTTP/2 server: write engine or standard", clip(v.text)))
	}
	return v.text
}

// compileHTTP3 reads gateway.http3, which is on or off, or holds settings of what is on.
func (s *settings) compileHTTP3() HTTP3 {
	var h HTTP3
	switch v := s.text("gateway.http3"); strings.ToLower(v.text) {
	case "on", "true", "yes":
		h.Enabled = true
	case "off", "false", "no":
	default:
		s.check("gateway.http3", v.at, fmt.Errorf("%q is neither on nor off: write one of them", clip(v.text)))
	}
	if v := s.text("gateway.http3.alt_svc_port"); v.text != "" {
		port, err := parsePort(v.text)
		s.check("gateway.http3.alt_svc_port", v.at, err)
		h.Port = port
	}
	return h
}

// address reads a listen address; empty or "off" means none.
func (s *settings) address(key string) string {
	v := s.text(key)
	if v.text == "" || v.text == "off" {
		return ""
	}
	s.check(key, v.at, parseAddress(v.text))
	return v.text
}

func (s *settings) checkDistinct(keys ...string) {
	taken := map[string]string{}
	for _, key := range keys {
		v := s.text(key)
		if v.text == "" || strings.HasSuffix(v.text, ":0") {
			continue
		}
		if other, ok := taken[v.text]; ok {
			s.check(key, v.at, fmt.Errorf("%q is the address of %s too: give each its own port", clip(v.text), other))
		}
		taken[v.text] = key
	}
}

func (s *settings) appendAPIHost(hosts []string, host value) []string {
	name, err := CanonicalName(host.text)
	if err == nil && strings.HasPrefix(name, "*.") {
		err = fmt.Errorf("%q is a wildcard: write each host out", name)
	}
	if err == nil && indexOf(hosts, name) >= 0 {
		err = fmt.Errorf("%q is here twice: keep one", name)
	}
	s.check("gateway.api_hosts", host.at, err)
	if err != nil {
		return hosts
	}
	return append(hosts, name)
}

// folder makes the path of a folder absolute: one of the file is relative to it, and so is a default.
func (s *settings) folder(key string) string {
	v := s.text(key)
	if v.text == "" {
		s.check(key, v.at, errors.New("is empty: name a folder"))
		return ""
	}
	return s.decoder.doc.absolute(v.text)
}

// existingFolder is folder for one that may be left out but, once named, must be there.
func (s *settings) existingFolder(key string) string {
	v := s.text(key)
	if v.text == "" {
		return ""
	}
	s.check(key, v.at, isDir(s.decoder.doc.name(v.text)))
	return s.folder(key)
}

// compileDefaults returns what each tenant starts from. dns are the providers that it may name.
func (s *settings) compileDefaults(dns []DNSProvider) Tenant {
	base := Tenant{
		RedirectToCanonical: s.boolean("defaults.redirect_to_canonical"),
		Enabled:             s.boolean("defaults.enabled"),
		Certificate:         s.compileDefaultCertificate(dns),
		Files:               s.compileDefaultFiles(),
		Compress:            s.codings("defaults.compress"),
		Cache:               s.compileDefaultCache(),
	}
	var err error
	if v := s.text("defaults.frontend"); v.text != "" {
		base.Frontend, err = parseFrontend(v.text, s.decoder.doc)
		s.check("defaults.frontend", v.at, err)
	}
	if v := s.text("defaults.backend"); v.text != "" {
		base.Backend, err = parseUpstream(v.text)
		s.check("defaults.backend", v.at, err)
	}
	if v := s.text("defaults.mongo_uri"); v.text != "" {
		base.Database.URI, err = sharedMongoURI(v.text, s.secrets)
		s.check("defaults.mongo_uri", v.at, err)
	}
	v := s.text("defaults.database_recheck")
	base.Database.Recheck, err = parseRecheck(v.text)
	s.check("defaults.database_recheck", v.at, err)
	v = s.text("defaults.body_limit")
	base.Limits.Body, err = parseSize(v.text)
	s.check("defaults.body_limit", v.at, err)
	v = s.text("defaults.uploads")
	base.Uploads, err = parseUploads(v.text)
	s.check("defaults.uploads", v.at, err)
	base.Mail = s.compileDefaultMail()
	v = s.text("defaults.timeout")
	base.Limits.Timeout, err = parseTimeout(v.text)
	s.check("defaults.timeout", v.at, err)
	v = s.text("defaults.hold")
	base.Limits.Hold, err = parseHold(v.text)
	s.check("defaults.hold", v.at, err)
	v = s.text("defaults.balance")
	base.Balance, err = parseBalance(v.text)
	s.check("defaults.balance", v.at, err)
	v = s.text("defaults.upstream_connections")
	base.Limits.UpstreamConnections, err = parseUpstreamConnections(v.text)
	s.check("defaults.upstream_connections", v.at, err)
	s.compileDefaultLimits(&base.Limits)
	base.Health, base.BackendHealth = s.compileDefaultHealth()
	return base
}

// sharedMongoURI reads the connection string of all tenants that have none of their own. It may not name a database: they would share it.
func sharedMongoURI(text string, secrets secretReader) (Secret, error) {
	text, err := secrets.reveal(text)
	if err != nil {
		return Secret{}, err
	}
	uri, err := parseMongoURI(text)
	if err != nil {
		return Secret{}, err
	}
	if uri.database != "" {
		return Secret{}, errors.New("names a database, which all tenants would share: leave the path out (a user's own database goes into ?authSource=), and each tenant has one named after its slug")
	}
	return NewSecret(text), nil
}

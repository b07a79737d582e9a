package tenant

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Certificate says how the certificates of one tenant's domains are obtained. It is comparable.
type Certificate struct {
	// Issuer takes the place of Certificates.Issuer, in the same form; empty leaves it to that.
	Issuer string
	// DNS is the Name of the provider that answers DNS-01 for all of the tenant's domains; empty for none. The running gateway may not
	// know it: its providers are fixed, while a reload brings new names, and a last good version old ones.
	DNS string
	// Files is the absolute path of a folder of PEM files, or of one PEM file with chain and key. They serve those of the tenant's
	// domains that they cover.
	Files string
}

const (
	keyCertificateIssuer = iota
	keyCertificateDNS
	keyCertificateFiles
)

var certificateKeys = []string{keyCertificateIssuer: "issuer", keyCertificateDNS: "dns", keyCertificateFiles: "files"}

// certificate reads what the entry says of its certificates, key by key in place of what defaults: says.
func (e *entry) certificate() {
	n := e.fields[keyCertificate]
	if n == nil {
		return
	}
	fields := e.mapping(n, "certificate", certificateKeys)
	if v, ok := e.part(fields, keyCertificateIssuer); ok {
		issuer, err := parseIssuer(v.text)
		e.checkPart(keyCertificateIssuer, v.at, err)
		e.tenant.Certificate.Issuer = issuer
	}
	if v, ok := e.part(fields, keyCertificateDNS); ok {
		e.checkPart(keyCertificateDNS, v.at, checkProvider(v.text, e.files.dns))
		e.tenant.Certificate.DNS = v.text
	}
	if v, ok := e.part(fields, keyCertificateFiles); ok {
		err := isFileOrFolder(e.doc.name(v.text))
		if err != nil {
			e.files.inputs.watch(e.doc.name(v.text)) // the fault is gone once it is there
		}
		e.checkPart(keyCertificateFiles, v.at, err)
		e.tenant.Certificate.Files = e.doc.absolute(v.text)
	}
}

// part returns one value of certificate:; false where it is absent or at fault.
func (e *entry) part(fields []*yaml.Node, key int) (value, bool) {
	v, ok := e.decoder.text(fields[key], "certificate."+certificateKeys[key])
	if ok && v.text == "" {
		e.fault(v.at, "certificate.%s is empty: write a value or leave the key out", certificateKeys[key])
		return value{}, false
	}
	return v, ok
}

func (e *entry) checkPart(key int, at place, err error) {
	if err != nil {
		e.fault(at, "certificate.%s %v", certificateKeys[key], err)
	}
}

// compileDefaultCertificate returns what each tenant's certificates start from.
func (s *settings) compileDefaultCertificate(dns []DNSProvider) (c Certificate) {
	if v := s.text("defaults.certificate.issuer"); v.text != "" {
		issuer, err := parseIssuer(v.text)
		s.check("defaults.certificate.issuer", v.at, err)
		c.Issuer = issuer
	}
	if v := s.text("defaults.certificate.dns"); v.text != "" {
		s.check("defaults.certificate.dns", v.at, checkProvider(v.text, dns))
		c.DNS = v.text
	}
	return c
}

// checkProvider refuses a name that gateway.certificates.dns does not list.
func checkProvider(name string, known []DNSProvider) error {
	names := make([]string, len(known))
	for i, provider := range known {
		if provider.Name == name {
			return nil
		}
		names[i] = provider.Name
	}
	if len(names) == 0 {
		return fmt.Errorf("%q is not known, as gateway.certificates.dns lists no provider: add one of that name there", clip(name))
	}
	return fmt.Errorf("%q is not in gateway.certificates.dns: write one of %s, or add it there", clip(name), quotedList(names))
}

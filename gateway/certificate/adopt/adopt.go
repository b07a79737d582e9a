// Package adopt finds the certificates that another program has kept until now, so that they go on serving here: certbot, acme.sh, Caddy,
// Traefik, lego, and plain PEM files.
//
//	findings := adopt.Find([]string{"/etc/letsencrypt", "/data/acme.json"}, time.Now())
//	take, skip := adopt.Plan(findings.Found, storedUntil)
//
// It only reads. What it reads is taken for hostile: only regular files are opened, and all is bounded. It checks that a certificate serves
// (key, names, days, chain), not that a browser trusts its root, and it asks nobody on the network.
package adopt

import (
	"time"

	"metahub/gateway/certificate/record"
)

// The kinds of places that a certificate is found in.
const (
	SourceCertbot = "certbot"
	SourceAcmeSh  = "acme.sh"
	SourceCaddy   = "caddy"
	SourceTraefik = "traefik"
	SourceLego    = "lego"
	SourcePEM     = "pem"
)

// Findings is what Find brings back.
type Findings struct {
	// Found has one entry for each name, sorted by it.
	Found []Found
	// Unread is in the order in which it was met; superseded certificates come last.
	Unread []Unread
}

// Found is a certificate to be kept for one of the names in it.
type Found struct {
	// Record is ready to be stored under Record.Domain. Found of one certificate share the record's chain, key and leaf.
	Record record.Record
	// Source is one of the Source constants.
	Source string
	// Path is absolute: the folder of a certbot, acme.sh or Caddy certificate, else the file.
	Path string
	// Names are all the names in the certificate that could be kept, canonical.
	Names []string
}

// Unread is something that was not taken, wholly or in part.
type Unread struct {
	Path string
	// Reason is a sentence about Path without it, "expired on 2026-01-31: …". It never quotes a file.
	Reason string
}

// Find looks through files and folders and returns every usable certificate that it finds with its key: for each name the one that expires last.
// What looks like a certificate and cannot be used is told of; certificates of CAs, and keys without a certificate, are passed over. Find
// returns in any case: a path that cannot be read is one line of Unread.
func Find(paths []string, now time.Time) Findings {
	f := newFinder(now)
	for _, group := range f.group(paths) {
		f.path(group)
	}
	return f.findings()
}

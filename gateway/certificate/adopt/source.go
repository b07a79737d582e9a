package adopt

import (
	"path/filepath"
	"strings"
)

// source tells by the names who has kept a certificate, and where: a folder of its own where it has one.
func (d *folder) source(file string) (source, path string) {
	base := filepath.Base(d.path)
	domain := strings.TrimSuffix(base, "_ecc") // of acme.sh
	switch {
	case filepath.Base(filepath.Dir(d.path)) == "live" && d.names["privkey.pem"]:
		return SourceCertbot, d.path
	case d.names[domain+".key"] && d.names[domain+".cer"]:
		return SourceAcmeSh, d.path
	case d.listing.described[base]:
		return SourceCaddy, d.path
	case d.listing.described[stem(file)]:
		return SourceLego, filepath.Join(d.path, file)
	}
	return SourcePEM, filepath.Join(d.path, file)
}

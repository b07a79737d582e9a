package adopt

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
)

// folder is what the PEM files of one folder hold. Certificates and keys are matched by the public key, so names matter only to sentences.
type folder struct {
	path    string
	listing listing
	names   map[string]bool
	faults  map[string]string // by file name
	told    map[string]bool   // files whose fault has been said
	barren  map[string]bool   // files without any PEM that matters
	keys    map[[sha256.Size]byte]*foundKey
	keyFile map[string]bool // files that hold a key, or would if they were sound
	issuers issuers
	leaves  []*foundLeaf
	cut     bool   // the walk ended within the folder
	spare   string // the only key file, if there is one only, that is not known to be of a certificate
	byLeaf  map[[sha256.Size]byte]*foundLeaf
}

type foundKey struct {
	key  crypto.Signer
	file string
	used bool // a certificate of the folder has it
}

type foundLeaf struct {
	leaf *x509.Certificate
	file string              // of those that hold it the one with the most certificates
	own  []*x509.Certificate // of file
	key  *foundKey
}

// folder looks through the PEM files of one folder. With only, it takes what is in those files, or has its key there.
func (f *finder) folder(w *walk, path string, listed listing, only map[string]bool) {
	if len(listed.files) == 0 {
		return
	}
	d := f.readFolder(w, path, listed)
	for _, name := range listed.files {
		fault := d.faults[name]
		if fault == "" && only[name] && d.barren[name] {
			fault = "holds no PEM certificate and no PEM key: name a file that does, or a folder"
		}
		if fault != "" && (only == nil || only[name]) {
			d.told[name] = true
			f.tell(filepath.Join(path, name), fault)
		}
	}
	d.matchKeys()
	for _, l := range d.leaves {
		if only == nil || only[l.file] || l.key != nil && only[l.key.file] {
			f.consider(d.candidate(l))
		}
	}
	for id, k := range d.keys {
		if !k.used && len(f.spareKeys) < maxSpareKeys {
			f.spareKeys[id] = k.key
		}
	}
}

func (f *finder) readFolder(w *walk, path string, listed listing) *folder {
	d := &folder{
		path: path, listing: listed, names: map[string]bool{}, faults: map[string]string{}, told: map[string]bool{}, barren: map[string]bool{},
		keys: map[[sha256.Size]byte]*foundKey{}, keyFile: map[string]bool{}, issuers: issuers{}, byLeaf: map[[sha256.Size]byte]*foundLeaf{},
	}
	for _, name := range listed.files {
		d.names[name] = true
	}
	for _, name := range listed.files {
		text, fault, ok := w.read(filepath.Join(path, name))
		if !ok {
			d.cut = true
			break
		}
		b := bundle{fault: fault}
		if fault == "" {
			b = f.chains.readBundle(text)
		}
		d.addFile(name, b)
		for _, certificate := range b.certificates {
			d.addCertificate(f, name, certificate, b.certificates)
		}
	}
	return d
}

func (d *folder) addFile(name string, b bundle) {
	if b.fault != "" {
		d.faults[name] = b.fault
	}
	d.barren[name] = len(b.certificates)+len(b.keys) == 0
	if len(b.keys) > 0 || b.fault != "" && len(b.certificates) == 0 && strings.Contains(name, "key") {
		d.keyFile[name] = true
	}
	for _, key := range b.keys {
		if id, ok := publicID(key.Public()); ok && d.keys[id] == nil {
			d.keys[id] = &foundKey{key: key, file: name}
		}
	}
}

func (d *folder) addCertificate(f *finder, file string, certificate *x509.Certificate, own []*x509.Certificate) {
	if certificate.IsCA {
		d.issuers.add(certificate)
	}
	if passedOver(certificate) {
		return
	}
	id := sha256.Sum256(certificate.Raw)
	known := d.byLeaf[id]
	switch {
	case known == nil && f.room(d.path):
		l := &foundLeaf{leaf: certificate, file: file, own: own}
		d.byLeaf[id] = l
		d.leaves = append(d.leaves, l)
	case known != nil && len(own) > len(known.own):
		known.file, known.own = file, own
	}
}

func (d *folder) matchKeys() {
	for _, l := range d.leaves {
		if id, ok := publicID(l.leaf.PublicKey); ok && d.keys[id] != nil {
			l.key = d.keys[id]
			l.key.used = true
		}
	}
	d.spare = d.spareKeyFile()
}

func (d *folder) candidate(l *foundLeaf) candidate {
	c := candidate{leaf: l.leaf, own: l.own, beside: d.issuers, file: filepath.Join(d.path, l.file)}
	c.source, c.path = d.source(l.file)
	if l.key != nil {
		c.key = l.key.key
	} else {
		c.noKey = d.noKey(l.file)
	}
	return c
}

// noKey says why a certificate has no key.
func (d *folder) noKey(file string) string {
	keyFile := d.keyFileOf(file)
	switch {
	case d.cut: // it may be among what was not read
		return ""
	case keyFile == "":
		return fmt.Sprintf("has no private key beside it: put the key there as %q", stem(file)+".key")
	case d.told[keyFile]:
		return ""
	case d.faults[keyFile] != "":
		return fmt.Sprintf("needs the key in %q, which %s", keyFile, d.faults[keyFile])
	}
	return fmt.Sprintf("does not belong to the key in %q: put in the two files that were made together", keyFile)
}

// keyFileOf guesses by the names which file should hold the key of a certificate.
func (d *folder) keyFileOf(file string) string {
	guesses := []string{stem(file) + ".key", file + ".key", strings.TrimSuffix(filepath.Base(d.path), "_ecc") + ".key"}
	for _, word := range []string{"fullchain", "cert", "chain"} { // of certbot, also with a number as in its archive
		if strings.HasPrefix(file, word) {
			guesses = append(guesses, strings.Replace(file, word, "privkey", 1), strings.Replace(file, word, "key", 1))
		}
	}
	for _, guess := range append(guesses, file) {
		if d.keyFile[guess] {
			return guess
		}
	}
	return d.spare
}

func (d *folder) spareKeyFile() string {
	spare := map[string]bool{}
	for name := range d.keyFile {
		spare[name] = true
	}
	for _, k := range d.keys {
		if k.used {
			delete(spare, k.file)
		}
	}
	if len(spare) != 1 {
		return ""
	}
	for name := range spare {
		return name
	}
	return ""
}

func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }

package adopt

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// maxStore bounds acme.json in bytes; 35,000 certificates are 300 MB.
	maxStore = 512 << 20
	// maxEntry bounds one of its certificates, and whatever else is read at once.
	maxEntry = 4 << 20
	// maxNesting bounds what is passed over in it.
	maxNesting = 64
)

// storeEntry is one certificate of acme.json; its names are the same in all versions but for upper and lower case, which encoding/json
// does not mind. The texts are base64 of PEM.
type storeEntry struct {
	Domain      struct{ Main string }
	Certificate string
	Key         string
}

var (
	errEntryTooLarge = fmt.Errorf("an entry is larger than %d bytes", maxEntry)
	errTooNested     = errors.New("it is nested too deep")
	errNotObject     = errors.New("it is not an object")
)

// traefikFile takes what acme.json holds. Unless it was named as a path, a file without certificates is somebody else's.
func (f *finder) traefikFile(path string, named bool) {
	file, size, fault := openRegular(path)
	switch {
	case fault != "" && (named || strings.Contains(path, "acme")):
		f.tell(path, fault)
		return
	case fault != "":
		return
	}
	defer file.Close()
	if size > maxStore {
		f.tell(path, fmt.Sprintf("is larger than %d bytes: split it, a resolver a file", maxStore))
		return
	}
	f.store(path, io.LimitReader(file, maxStore), named)
}

func (f *finder) store(path string, r io.Reader, named bool) {
	taken := 0
	err := readStore(r, func(resolver string, number int, entry storeEntry, err error) bool {
		taken++
		return f.storeEntry(path, entryPrefix(resolver, number, entry), entry, err)
	})
	if err != nil && (named || taken > 0) {
		f.tell(path, fmt.Sprintf("cannot be read to its end, %d certificates came before: take a copy while Traefik is stopped (%s)", taken, storeFault(err)))
	}
}

// storeFault drops what encoding/json quotes of the text.
func storeFault(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "it is empty or cut short"
	case errors.Is(err, errEntryTooLarge) || errors.Is(err, errTooNested) || errors.Is(err, errNotObject):
		return err.Error()
	}
	return "the disk does not give it"
}

func entryPrefix(resolver string, number int, entry storeEntry) string {
	prefix := fmt.Sprintf("certificate %d", number)
	if entry.Domain.Main != "" {
		prefix = fmt.Sprintf("the certificate of %q", clip(entry.Domain.Main))
	}
	if resolver != "" {
		prefix += fmt.Sprintf(" (resolver %q)", clip(resolver))
	}
	return prefix + " "
}

// storeEntry returns false when there is no room for more.
func (f *finder) storeEntry(path, prefix string, entry storeEntry, err error) bool {
	chainPEM, chainErr := base64.StdEncoding.DecodeString(entry.Certificate)
	keyPEM, keyErr := base64.StdEncoding.DecodeString(entry.Key)
	if err != nil || chainErr != nil || keyErr != nil {
		f.tell(path, prefix+"is damaged: the gateway orders a new one")
		return true
	}
	chain, key := f.chains.readBundle(chainPEM), f.chains.readBundle(keyPEM)
	c := candidate{own: chain.certificates, source: SourceTraefik, path: path, prefix: prefix}
	switch {
	case chain.fault != "":
		f.tell(path, prefix+chain.fault)
		return true
	case key.fault != "":
		f.tell(path, prefix+"has a key that "+key.fault)
		return true
	case len(key.keys) == 0:
		f.tell(path, prefix+"has no key: the gateway orders a new one")
		return true
	}
	c.key = key.keys[0]
	i := slices.IndexFunc(c.own, func(certificate *x509.Certificate) bool { return belongs(certificate, c.key) })
	switch {
	case i < 0:
		f.tell(path, prefix+"has a key that is not its own: the gateway orders a new one")
		return true
	case passedOver(c.own[i]):
		return true
	}
	c.leaf = c.own[i]
	if !f.room(path) {
		return false
	}
	f.consider(c)
	return true
}

// readStore reads acme.json with one certificate in memory at a time. Version 1 of Traefik has "Certificates" at the top, later ones
// below the name of each resolver. each gets an error where an entry has another form, and returns false to end.
func readStore(r io.Reader, each func(resolver string, number int, entry storeEntry, err error) bool) error {
	s := &storeReader{allowance: &allowance{reader: r}, each: each}
	s.decoder = json.NewDecoder(s.allowance)
	token, err := s.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return errNotObject
	}
	return s.object("", true)
}

type storeReader struct {
	*allowance
	decoder *json.Decoder
	each    func(resolver string, number int, entry storeEntry, err error) bool
	number  int
	ended   bool
}

// object reads the members of an object whose brace has been read, and the brace that ends it.
func (s *storeReader) object(resolver string, top bool) error {
	for s.more() {
		token, err := s.token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if token, err = s.token(); err != nil {
			return err
		}
		switch {
		case token == json.Delim('[') && strings.EqualFold(name, "Certificates"):
			err = s.entries(resolver)
		case token == json.Delim('{') && top:
			err = s.object(name, false)
		default:
			err = s.pass(token)
		}
		if err != nil || s.ended {
			return err
		}
	}
	_, err := s.token()
	return err
}

func (s *storeReader) entries(resolver string) error {
	for s.more() {
		var entry storeEntry
		s.refill()
		err := s.decoder.Decode(&entry)
		var form *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &form) {
			return err
		}
		s.number++
		if !s.each(resolver, s.number, entry, err) {
			s.ended = true
			return nil
		}
	}
	_, err := s.token()
	return err
}

// pass reads over a value whose first token has been read.
func (s *storeReader) pass(token json.Token) error {
	for depth := 0; ; {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxNesting {
			return errTooNested
		}
		var err error
		if token, err = s.token(); err != nil {
			return err
		}
	}
}

func (s *storeReader) token() (json.Token, error) {
	s.refill()
	return s.decoder.Token()
}

func (s *storeReader) more() bool {
	s.refill()
	return s.decoder.More()
}

// allowance lets the decoder, which holds a whole value in memory, read so much and no more for each.
type allowance struct {
	reader io.Reader
	left   int
}

func (a *allowance) refill() { a.left = maxEntry }

func (a *allowance) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, errEntryTooLarge
	}
	n, err := a.reader.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

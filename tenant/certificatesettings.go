package tenant

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

const certificatesKey = "gateway.certificates."

// compileCertificates checks gateway.certificates. g holds the settings that decide what is the default.
func (s *settings) compileCertificates(g *Gateway) Certificates {
	c := Certificates{
		Folder:    s.folder(certificatesKey + "folder"),
		Staging:   s.boolean(certificatesKey + "staging"),
		Rehearsal: s.boolean(certificatesKey + "rehearsal"),
		Key:       parsed(s, "key", func(text string) (string, error) { return parseChoice(text, keyKinds, "") }),
		Email:     parsed(s, "email", checked(checkEmail)),
		Profile:   parsed(s, "profile", checked(checkProfile)),
		Resolver:  parsed(s, "resolver", parseServer),

		ValidationPort: parsed(s, "validation_port", parsePort),
		DNS:            s.dnsProviders(),
	}
	s.issuers(&c, g.Demo)
	s.storage(&c)
	for _, v := range s.list(certificatesKey + "addresses") {
		addr, err := parsePublicAddress(v.text)
		s.check(certificatesKey+"addresses", v.at, err)
		c.Addresses = append(c.Addresses, addr)
	}
	c.Challenges = s.challenges(g.HTTP != "")
	return c
}

// parsed reads the text of a key below gateway.certificates; an empty one gives the zero value.
func parsed[T any](s *settings, name string, parse func(string) (T, error)) (result T) {
	v := s.text(certificatesKey + name)
	if v.text == "" {
		return result
	}
	result, err := parse(v.text)
	s.check(certificatesKey+name, v.at, err)
	return result
}

// checked makes a parse function of a check.
func checked(check func(string) error) func(string) (string, error) {
	return func(text string) (string, error) { return text, check(text) }
}

// issuers reads who issues, and what depends on that.
func (s *settings) issuers(c *Certificates, demo bool) {
	c.Issuer = parsed(s, "issuer", parseIssuer)
	switch {
	case s.text(certificatesKey+"issuer").text != "":
	case demo:
		c.Issuer = IssuerInternal
	default:
		c.Issuer = IssuerLetsEncrypt
	}
	c.Fallback = parsed(s, "fallback", func(text string) (string, error) {
		fallback, err := parseIssuer(text)
		switch {
		case err != nil:
			return "", err
		case fallback == IssuerInternal:
			return "", errors.New("is the local authority, which visitors' browsers do not trust: name another ACME authority, or leave the key out")
		case fallback == c.Issuer:
			return "", errors.New("is the issuer itself: name another one, or leave the key out")
		}
		return fallback, nil
	})
	c.EAB, c.FallbackEAB = s.eab("eab"), s.eab("fallback_eab")
	if !c.FallbackEAB.IsZero() && s.text(certificatesKey+"fallback").text == "" {
		s.refuse("fallback_eab.key_id", "belongs to a fallback, and there is none: write gateway.certificates.fallback, or eab for the issuer's account")
	}
	if c.Staging && c.Issuer != "" && c.Issuer != IssuerLetsEncrypt {
		s.refuse("staging", "is Let's Encrypt's, and the issuer is %q: leave it out, or write issuer: letsencrypt", clip(c.Issuer))
	}
	c.Limits = parsed(s, "limits", func(text string) (string, error) {
		return parseChoice(text, []string{LimitsLetsEncrypt, LimitsNone}, "")
	})
	if c.Limits == "" {
		c.Limits = c.usualLimits()
	}
	s.caRoot(c)
}

// usualLimits are those that hold unless gateway.certificates.limits says otherwise.
func (c *Certificates) usualLimits() string {
	if c.Issuer == IssuerLetsEncrypt && !c.Staging {
		return LimitsLetsEncrypt
	}
	return LimitsNone
}

// caRoot reads the file to trust, which means something for directories of the administrator's own alone.
func (s *settings) caRoot(c *Certificates) {
	const key = certificatesKey + "ca_root"
	v := s.text(key)
	if v.text == "" {
		return
	}
	c.CARoot = s.decoder.doc.absolute(v.text)
	s.check(key, v.at, checkRoots(s.decoder.doc.name(v.text), s.secrets.read))
	for _, name := range []string{certificatesKey + "issuer", certificatesKey + "fallback", "defaults.certificate.issuer"} {
		if isDirectory(s.text(name).text) {
			return
		}
	}
	s.refuse("ca_root", "is for a directory of your own, and neither issuer nor fallback is a URL: write one, or leave ca_root out")
}

// eab reads an external account binding.
func (s *settings) eab(name string) (eab EAB) {
	id, hasID := s.secret(name + ".key_id")
	key, hasKey := s.secret(name + ".hmac_key")
	switch written := certificatesKey + name; {
	case hasID && !hasKey && s.text(written+".hmac_key").text == "":
		s.refuse(name+".key_id", "is set without hmac_key: write both, as the authority shows them")
	case hasKey && !hasID && s.text(written+".key_id").text == "":
		s.refuse(name+".hmac_key", "is set without key_id: write both, as the authority shows them")
	case hasID && hasKey:
		hmac, err := parseHMACKey(key)
		s.check(written+".hmac_key", s.at(written+".hmac_key", 0), err)
		eab = EAB{KeyID: id, HMACKey: NewSecret(hmac)}
	}
	return eab
}

// storage reads where certificates are kept and what encrypts the keys there.
func (s *settings) storage(c *Certificates) {
	text, ok := s.secret("storage")
	switch {
	case !ok:
		c.StorageFolder = c.Folder
	case strings.HasPrefix(text, "mongodb:"), strings.HasPrefix(text, "mongodb+srv:"):
		uri, err := parseMongoURI(text)
		if err == nil && uri.database != "" {
			err = checkDatabaseName(uri.database, false)
		}
		s.check(certificatesKey+"storage", s.at(certificatesKey+"storage", 0), err)
		c.StorageURI = NewSecret(text)
	case strings.Contains(text, "://"):
		s.refuse("storage", "is neither a folder nor a MongoDB connection string: write a path, or a URI that begins with mongodb:// or mongodb+srv://")
	default:
		c.StorageFolder = s.decoder.doc.absolute(text)
	}
	if key, ok := s.secret("storage_key"); ok {
		s.check(certificatesKey+"storage_key", s.at(certificatesKey+"storage_key", 0), checkStorageKey(key))
		c.StorageKey = NewSecret(key)
	}
}

// storageDatabase is the database of a StorageURI that names none.
const storageDatabase = "metahub"

// databaseKey is the key of the storage's database, as Database.key gives it for a tenant's; empty for a folder.
func (c *Certificates) databaseKey() string {
	uri, err := parseMongoURI(c.StorageURI.Reveal())
	if err != nil {
		return ""
	}
	name := uri.database
	if name == "" {
		name = storageDatabase
	}
	return Database{URI: c.StorageURI, Name: name}.key()
}

// challenges reads which challenges are answered. Without a plain port there is nobody who could answer HTTP-01.
func (s *settings) challenges(plainPort bool) (challenges []string) {
	const key = certificatesKey + "challenges"
	if s.where[key] == nil {
		if plainPort {
			challenges = append(challenges, ChallengeHTTP01)
		}
		return append(challenges, ChallengeTLSALPN01)
	}
	items := s.list(key)
	if len(items) == 0 {
		s.refuse("challenges", "is empty: list \"http-01\", \"tls-alpn-01\" or both, or leave the key out for both")
	}
	for _, item := range items {
		challenge, err := parseChoice(item.text, []string{ChallengeHTTP01, ChallengeTLSALPN01}, "")
		switch {
		case item.text == "dns-01":
			err = errors.New("\"dns-01\" is not listed here: it is for the tenants whose certificate.dns names a provider")
		case err == nil && indexOf(challenges, challenge) >= 0:
			err = fmt.Errorf("%q is here twice: keep one", challenge)
		case challenge == ChallengeHTTP01 && !plainPort:
			err = errors.New("\"http-01\" needs a plain port, and gateway.http is off: write its address, or leave \"http-01\" out")
		}
		s.check(key, item.at, err)
		if err == nil {
			challenges = append(challenges, challenge)
		}
	}
	return challenges
}

// secret reads a key below gateway.certificates that may refer to a variable or a file; false where there is none or none can be had.
func (s *settings) secret(name string) (string, bool) {
	key := certificatesKey + name
	v := s.text(key)
	if v.text == "" {
		return "", false
	}
	text, err := s.secrets.reveal(v.text)
	if err == nil && strings.ContainsFunc(text, unicode.IsControl) {
		err = errControl
	}
	s.check(key, v.at, err)
	return text, err == nil
}

var errControl = errors.New("holds a line break or another control character: write it on one line")

// refuse notes what is wrong with a key below gateway.certificates.
func (s *settings) refuse(name, format string, args ...any) {
	s.check(certificatesKey+name, s.at(certificatesKey+name, 0), fmt.Errorf(format, args...))
}

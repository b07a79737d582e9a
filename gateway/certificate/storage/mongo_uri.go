package storage

import (
	"errors"
	"net/url"
	"strings"
)

const defaultDatabase = "metahub"

// mongoURI is what a connection string says, without asking DNS.
type mongoURI struct {
	uri      string
	database string
	name     string // mongodb://hosts/database
	redact   *strings.Replacer
}

var errURI = errors.New(`not a MongoDB URI: write "mongodb://user:password@host:27017/metahub?authSource=admin" or the like`)

func parseURI(uri string) (mongoURI, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return mongoURI{}, errURI
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at], authority[at+1:]
	}
	if hosts == "" {
		return mongoURI{}, errURI
	}
	database := unescape(path)
	if database == "" {
		database = defaultDatabase
	}
	_, password, _ := strings.Cut(user, ":")
	return mongoURI{
		uri:      uri,
		database: database,
		name:     scheme + "://" + hosts + "/" + database,
		redact:   redactor(uri, user, password),
	}, nil
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// redactor replaces what must not be printed, the longest first.
func redactor(uri, user, password string) *strings.Replacer {
	const redacted = "[redacted]"
	if password == "" {
		return strings.NewReplacer(uri, redacted)
	}
	return strings.NewReplacer(uri, redacted, user, redacted, password, redacted, unescape(password), redacted)
}

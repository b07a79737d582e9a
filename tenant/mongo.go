package tenant

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// mongoURI is what this package must understand of a connection string: which deployment it means, and which database.
type mongoURI struct {
	deployment string // equal for equal sets of hosts
	database   string // the path; may be empty
}

// parseMongoURI reads a connection string. Its errors continue a sentence that begins with the key, and quote nothing: any part may
// be a password.
func parseMongoURI(uri string) (mongoURI, error) {
	rest, srv := strings.CutPrefix(uri, "mongodb+srv://")
	if !srv {
		var ok bool
		if rest, ok = strings.CutPrefix(uri, "mongodb://"); !ok {
			return mongoURI{}, errors.New("is not a MongoDB connection string: it begins with mongodb:// or mongodb+srv://")
		}
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := checkCredentials(authority[:at]); err != nil {
			return mongoURI{}, err
		}
		hosts = authority[at+1:]
	}
	deployment, err := canonicalDeployment(hosts, srv)
	if err != nil {
		return mongoURI{}, err
	}
	if _, err := url.ParseQuery(query); err != nil {
		return mongoURI{}, errors.New("has options that cannot be read: write them like ?authSource=admin&replicaSet=rs0")
	}
	database, err := url.PathUnescape(path)
	if err != nil {
		return mongoURI{}, errors.New("has a bad percent sign in the name of the database: write it as %25")
	}
	return mongoURI{deployment: deployment, database: database}, nil
}

func checkCredentials(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	_, userErr := url.PathUnescape(user)
	_, passwordErr := url.PathUnescape(password)
	if user == "" || userErr != nil || passwordErr != nil || strings.ContainsAny(user+password, "@:") {
		return errors.New("has a user name or password that cannot be read: percent-encode \"@\", \":\", \"/\", \"?\" and \"%\" in it")
	}
	return nil
}

func canonicalDeployment(hosts string, srv bool) (string, error) {
	list := strings.Split(hosts, ",")
	if srv && len(list) > 1 {
		return "", errors.New("has more than one host: mongodb+srv:// takes one")
	}
	for i, host := range list {
		if strings.HasPrefix(strings.ToLower(host), "%2f") {
			continue // a Unix socket
		}
		name, port, err := CanonicalHost(nil, []byte(host))
		switch {
		case err != nil:
			return "", fmt.Errorf("has a host that cannot be read (number %d): write the hosts like db1.example.com:27017,db2.example.com:27017", i+1)
		case srv && len(port) > 0:
			return "", errors.New("has a port: mongodb+srv:// finds it in DNS, leave it out")
		case srv:
			list[i] = "srv:" + string(name)
		case len(port) == 0:
			list[i] = string(name) + ":27017"
		default:
			list[i] = string(name) + ":" + string(port)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ","), nil
}

// checkDatabaseName refuses what MongoDB or, for the embedded database, FerretDB would refuse later.
func checkDatabaseName(name string, embedded bool) error {
	switch {
	case name == "" || len(name) > 63:
		return fmt.Errorf("%q is not a database name: it has 1 to 63 bytes", clip(name))
	case strings.ContainsAny(name, "/\\. \"$*<>:|?\x00"):
		return fmt.Errorf("%q is not a database name: MongoDB takes no space and none of /\\.\"$*<>:|? in it", name)
	case embedded && strings.ContainsFunc(name, notPlain):
		return fmt.Errorf("%q is not a name for an embedded database: write letters, digits, \"_\" and \"-\"", name)
	}
	switch strings.ToLower(name) {
	case "admin", "local", "config":
		return fmt.Errorf("%q is MongoDB's own database: name another", name)
	}
	return nil
}

func notPlain(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
}

// key is equal for two databases that are the same one: MongoDB takes no two names that differ only in case.
func (d Database) key() string {
	deployment := "embedded"
	if !d.Embedded() {
		uri, err := parseMongoURI(d.URI.Reveal())
		if err != nil {
			return ""
		}
		deployment = uri.deployment
	}
	return "database " + deployment + "/" + strings.ToLower(d.Name)
}

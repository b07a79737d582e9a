package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// target is where a URI leads.
type target struct {
	key      deploymentKey
	name     string // user@hosts, without password
	uri      string
	embedded bool
	redact   *strings.Replacer
}

// deploymentKey is the same for two URIs exactly when one client may serve both.
type deploymentKey [sha256.Size]byte

// embeddedTarget is where tenants without a URI live. Its host is never looked up: the client has a dialer of its own.
func embeddedTarget() target {
	return target{
		name:     "embedded",
		uri:      "mongodb://embedded/?directConnection=true",
		embedded: true,
		redact:   strings.NewReplacer(),
	}
}

var errURI = errors.New(`not a MongoDB URI: write "mongodb://user:password@host:27017/database?authSource=admin" or the like`)

// parseTarget finds what distinguishes a URI's deployment without asking DNS. The empty URI is the embedded database.
//
// The database in the path is no part of the key, so that tenants of one cluster share a client, with one exception: where a user is
// named without authSource, it is also the database that knows the user (https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.authSource).
func parseTarget(uri string) (target, error) {
	if uri == "" {
		return embeddedTarget(), nil
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return target{}, errURI
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at], authority[at+1:]
	}
	if hosts == "" {
		return target{}, errURI
	}
	name, password, _ := strings.Cut(user, ":")
	parts := []string{scheme, unescape(name), unescape(password)}
	canonical := canonicalHosts(scheme, hosts)
	parts = append(parts, canonical...)
	parts = append(parts, canonicalOptions(scheme, query, user != "", unescape(database))...)

	t := target{uri: uri, name: strings.Join(canonical, ","), redact: redactor(uri, user, password)}
	if name != "" {
		t.name = unescape(name) + "@" + t.name
	}
	t.key = sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return t, nil
}

func canonicalHosts(scheme, hosts string) []string {
	list := strings.Split(hosts, ",")
	for i, host := range list {
		host = unescape(host)
		if strings.HasSuffix(host, ".sock") { // a path, in which case counts
			list[i] = host
			continue
		}
		hasPort := strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
		if scheme == "mongodb" && !hasPort {
			host += ":27017"
		}
		list[i] = strings.ToLower(host)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ourOptions are set by the store for every client, so a URI's own values make no difference.
var ourOptions = []string{
	"appname", "connecttimeoutms", "heartbeatfrequencyms", "maxconnecting", "maxidletimems", "maxpoolsize", "maxstalenessseconds", "minpoolsize",
	"readpreference", "readpreferencetags", "servermonitoringmode", "serverselectiontimeoutms", "sockettimeoutms", "timeoutms", "waitqueuetimeoutms",
}

func canonicalOptions(scheme, query string, hasUser bool, database string) []string {
	var options []string
	mechanism, hasSource := "", false
	for option := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(option, "=")
		key, value = strings.ToLower(unescape(key)), unescape(value)
		if key == "" || slices.Contains(ourOptions, key) {
			continue
		}
		switch key {
		case "authsource":
			hasSource = true
		case "authmechanism":
			mechanism = value
		}
		options = append(options, key+"="+value)
	}
	if !hasSource && (hasUser || mechanism != "") {
		options = append(options, implicitAuthSource(scheme, mechanism, database))
	}
	// Stable, because of an option that is repeated the last one counts.
	slices.SortStableFunc(options, func(a, b string) int {
		return strings.Compare(a[:strings.IndexByte(a, '=')], b[:strings.IndexByte(b, '=')])
	})
	return options
}

// implicitAuthSource names the authSource of a URI that has none. Where it is not certain, because DNS may add one or because the
// mechanism has a default of its own, the value is one that no URI can spell, which only keeps clients apart that could be one.
func implicitAuthSource(scheme, mechanism, database string) string {
	certain := scheme == "mongodb" && (mechanism == "" || strings.HasPrefix(strings.ToUpper(mechanism), "SCRAM-"))
	switch {
	case !certain:
		return "authsource=\x00" + database
	case database == "":
		return "authsource=admin"
	}
	return "authsource=" + database
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

package tenant

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/publicsuffix"
)

// The functions of this file each read one value. Their errors continue a sentence that begins with the key.

// parseSlug checks a tenant's identifier.
func parseSlug(slug string) error {
	ok := len(slug) > 0 && len(slug) <= 63 && slug[0] != '-'
	for i := 0; ok && i < len(slug); i++ {
		c := slug[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
	}
	if !ok {
		return fmt.Errorf("%q is not a slug: write 1 to 63 of a-z, 0-9 and \"-\", not beginning with \"-\"", clip(slug))
	}
	return nil
}

// parseFrontend reads "dir:<folder>" or an upstream URL, as written in doc.
func parseFrontend(text string, doc *document) (Frontend, error) {
	folder, isFolder := strings.CutPrefix(text, "dir:")
	if !isFolder {
		upstream, err := parseUpstream(text)
		return Frontend{URL: upstream}, err
	}
	if folder == "" {
		return Frontend{}, errors.New("names no folder: write its path after \"dir:\"")
	}
	if err := isDir(doc.name(folder)); err != nil {
		return Frontend{}, err
	}
	return Frontend{Folder: doc.absolute(folder)}, nil
}

// isDir says what is wrong with a folder that must be there.
func isDir(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%q is not there: make the folder or correct the path", folder)
	case err != nil:
		return fmt.Errorf("%q cannot be read: %w", folder, errors.Unwrap(err))
	case !info.IsDir():
		return fmt.Errorf("%q is a file: name a folder", folder)
	}
	return nil
}

// parseUpstream reads "http://host:port" or "unix:/run/site.sock". Nothing of a URL with userinfo is quoted.
func parseUpstream(text string) (*url.URL, error) {
	if socket, ok := strings.CutPrefix(text, "unix:"); ok {
		return parseSocket(socket)
	}
	const form = "write it like \"http://127.0.0.1:3000\""
	if strings.Contains(text, "@") {
		return nil, errors.New("holds a user name or an \"@\": leave it out, " + form)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http:// or https:// URL: %s", clip(text), form)
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return nil, fmt.Errorf("%q has a path, a query or a fragment: %s", clip(text), form)
	}
	host, port, err := CanonicalHost(nil, []byte(u.Host))
	if err != nil {
		return nil, fmt.Errorf("%q has a host or port that cannot be: %s", clip(text), form)
	}
	canonical := string(host)
	if len(port) > 0 {
		canonical += ":" + string(port)
	}
	return &url.URL{Scheme: u.Scheme, Host: canonical}, nil
}

// maxSocketLen is what fits into an address of the kernel, in bytes (unix(7)).
const maxSocketLen = 107

// parseSocket reads the path of a socket. Two ways to write one path would be two upstreams, so there is one.
func parseSocket(path string) (*url.URL, error) {
	const form = "write it like \"unix:/run/site.sock\""
	switch {
	case strings.ContainsFunc(path, unicode.IsControl):
		return nil, errors.New("names a socket with a zero byte or another control character: " + form)
	case !filepath.IsAbs(path):
		return nil, fmt.Errorf("%q is not an absolute path: %s", clip("unix:"+path), form)
	case filepath.Clean(path) != path:
		return nil, fmt.Errorf("%q has \"..\" or an empty part: write it like \"unix:%s\"", clip("unix:"+path), clip(filepath.Clean(path)))
	case len(path) > maxSocketLen:
		return nil, fmt.Errorf("%q is %d bytes long, and a socket's path has %d at most: put it elsewhere", clip("unix:"+path), len(path), maxSocketLen)
	}
	return &url.URL{Scheme: "unix", Opaque: path}, nil
}

// parseSize reads a number of bytes such as "10MiB" or "512KB".
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTiB ")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit := int64(1)
	switch strings.TrimSpace(text[len(digits):]) {
	case "", "B":
	case "KB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	default:
		unit = 0
	}
	if err != nil || unit == 0 || n <= 0 || n > math.MaxInt32*1024/unit {
		return 0, fmt.Errorf("%q is not a size: write a whole number with B, KB, MB, GB, KiB, MiB or GiB, from \"1B\" to \"2000GB\", like \"10MiB\"", clip(text))
	}
	return n * unit, nil
}

// parseTimeout reads a span such as "30s".
func parseTimeout(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	if err != nil || span < time.Millisecond || span > time.Hour {
		return 0, fmt.Errorf("%q is not a time between 1ms and 1h: write it like \"30s\" or \"2m\"", clip(text))
	}
	return span, nil
}

// parseHold reads how long requests wait for an upstream; "0s" is not at all.
func parseHold(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	if err != nil || span < 0 || span > time.Minute {
		return 0, fmt.Errorf("%q is not a time between 0s and 1m: write it like \"10s\", or \"0s\" to switch it off", clip(text))
	}
	return span, nil
}

// maxRecheck is the longest that the database may go unasked.
const maxRecheck = time.Hour

// parseRecheck reads for how long answers count as unchanged without asking the database; "0s" asks each time.
func parseRecheck(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	if err != nil || span < 0 || span > maxRecheck {
		return 0, fmt.Errorf("%q is not a time between 0s and 1h: write it like \"10s\", or \"0s\" to switch it off", clip(text))
	}
	return span, nil
}

// parseAddress checks a listen address.
func parseAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" {
		if _, ipErr := netip.ParseAddr(host); ipErr != nil {
			_, _, err = CanonicalHost(nil, []byte(host))
		}
	}
	if err != nil {
		return fmt.Errorf("%q is not a listen address: write \":8443\" or \"127.0.0.1:8443\"", clip(text))
	}
	return nil
}

// parseProxy reads an address or a network of proxies.
func parseProxy(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or network: write it like \"10.0.0.0/8\" or \"192.0.2.7\"", clip(text))
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// parseCookies reads what cookies are like.
func parseCookies(text string) (Cookies, error) {
	switch c := Cookies(text); c {
	case HostCookies, LegacyCookies:
		return c, nil
	}
	return "", fmt.Errorf("%q is no kind of cookie: write host, or legacy for those of the earlier service", clip(text))
}

// parseCookieDomain reads the Domain attribute of a tenant's cookies. It must stand above one of the tenant's own names, and below
// what browsers refuse cookies for (RFC 6265 §5.3).
func parseCookieDomain(text string, domains []string) (string, error) {
	name, err := CanonicalName(strings.TrimPrefix(text, "."))
	if err != nil || strings.HasPrefix(name, "*.") {
		return "", fmt.Errorf("%q is not a host name: write it like \"example.com\"", clip(text))
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return "", fmt.Errorf("%q is a public suffix, for which browsers refuse cookies: write a name below it, or leave the key out", name)
	}
	for _, domain := range domains {
		if isBelow(strings.TrimPrefix(domain, "*."), name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%q is not a parent of any of the tenant's domains: browsers would drop the cookie; write such a parent, or leave the key out", name)
}

// isBelow reports whether host is parent or one of its subdomains.
func isBelow(host, parent string) bool {
	rest, ok := strings.CutSuffix(host, parent)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}

// clip shortens what is quoted in a message.
func clip(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

var issuerNames = []string{IssuerLetsEncrypt, IssuerZeroSSL, IssuerInternal}

// isDirectory reports whether an issuer is the URL of an ACME directory.
func isDirectory(issuer string) bool { return strings.Contains(issuer, "://") }

// parseIssuer reads the name of an issuer or the URL of an ACME directory. Nothing of a URL with userinfo is quoted.
func parseIssuer(text string) (string, error) {
	if !isDirectory(text) {
		return parseChoice(text, issuerNames, ", or the https:// URL of an ACME directory")
	}
	const form = "write the directory's URL like \"https://ca.example.com/acme/directory\""
	if strings.Contains(text, "@") {
		return "", errors.New("holds a user name or an \"@\": leave it out, " + form)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Contains(text, "#") {
		return "", fmt.Errorf("%q is not the URL of an ACME directory: %s", clip(text), form)
	}
	host, port, err := CanonicalHost(nil, []byte(u.Host))
	if err != nil {
		return "", fmt.Errorf("%q has a host or port that cannot be: %s", clip(text), form)
	}
	if u.Scheme == "http" && !isLoopback(string(host)) {
		return "", fmt.Errorf("%q is not https, so anyone on the way could answer for the authority: %s", clip(text), form)
	}
	u.Host = string(host)
	if len(port) > 0 {
		u.Host += ":" + string(port)
	}
	return u.String(), nil
}

// isLoopback reports whether a canonical host is this machine (RFC 6761 §6.3).
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// parseChoice returns text when it is one of the choices. others ends the list of them in the error.
func parseChoice(text string, choices []string, others string) (string, error) {
	if slices.Contains(choices, text) {
		return text, nil
	}
	if near := nearest(strings.ToLower(text), choices); near != "" {
		return "", fmt.Errorf("%q is not known: did you mean %q?", clip(text), near)
	}
	return "", fmt.Errorf("%q is not known: write one of %s%s", clip(text), quotedList(choices), others)
}

// quotedList is `"a", "b"`, shortened where it is long.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(bounded(quoted), ", ")
}

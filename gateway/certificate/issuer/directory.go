package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// The certificate authorities that are known by name.
const (
	LetsEncrypt        = "letsencrypt"
	LetsEncryptStaging = "letsencrypt-staging"
	ZeroSSL            = "zerossl"
)

// DirectoryOf is the directory of a CA that is known by name; ok is false for other names.
func DirectoryOf(name string) (directory string, ok bool) {
	switch name {
	case LetsEncrypt:
		return "https://acme-v02.api.letsencrypt.org/directory", true
	case LetsEncryptStaging:
		return "https://acme-staging-v02.api.letsencrypt.org/directory", true
	case ZeroSSL:
		return "https://acme.zerossl.com/v2/DV90", true
	}
	return "", false
}

func (c Config) directory() (string, error) {
	directory := c.Directory
	if directory == "" {
		known, ok := DirectoryOf(c.Name)
		if !ok {
			return "", fmt.Errorf("it is none of %s, %s and %s, so it needs the URL of its ACME directory", LetsEncrypt, LetsEncryptStaging, ZeroSSL)
		}
		directory = known
	}
	if err := checkURL(directory); err != nil {
		return "", fmt.Errorf("the ACME directory: %w", err)
	}
	return directory, nil
}

// checkURL demands HTTPS, but for loopback, where tests and a CA beside the gateway live.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q is not a URL like https://acme.example.com/directory", clip(text, 200))
	}
	if !secure(u) {
		return fmt.Errorf("%q has to begin with https://", clip(text, 200))
	}
	return nil
}

func secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// conversation is a directory that was fetched, and a client that goes by it and keeps its nonces.
type conversation struct {
	directory acme.Directory
	client    *acme.Client
	fetched   time.Time
}

// converse returns the conversation with the CA. It begins one, which shows whether the CA is there at all, when there is none or when the
// directory is old; callers that come meanwhile wait for the same answer.
//
// acmez would fetch the directory by itself, but under a lock that all CAs share, three times over, and would keep it for twelve hours.
func (a *ACME) converse(ctx context.Context) (*conversation, error) {
	if c := a.current.Load(); c != nil && time.Since(c.fetched) < a.patience.directoryAge {
		return c, nil
	}
	result := a.fetches.DoChan("", func() (c any, err error) {
		defer a.guard(&err)
		// The fetch is for all that wait, so that one who leaves does not end it.
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), a.patience.directory, errPatience)
		defer cancel()
		return a.fetchDirectory(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*conversation), nil
	}
}

func (a *ACME) fetchDirectory(ctx context.Context) (*conversation, error) {
	if c := a.current.Load(); c != nil && time.Since(c.fetched) < a.patience.directoryAge {
		return c, nil // the fetch before this one
	}
	ctx, _ = withNotes(ctx)
	body, err := a.get(ctx, a.directory)
	if err != nil {
		return nil, a.classify(ctx, err, "")
	}
	directory, err := parseDirectory(body)
	if err != nil {
		return nil, a.unavailable(fmt.Sprintf("what %s answers is not an ACME directory: %v", a.directory, err), err)
	}
	next := &conversation{directory: directory, fetched: time.Now()}
	if before := a.current.Load(); before != nil && sameDirectory(before.directory, directory) {
		next.client = before.client // with its nonces
	} else {
		next.client = a.newClient(directory)
	}
	a.current.Store(next)
	return next, nil
}

// forgetDirectory makes the next order look whether the CA is there before anything else.
func (a *ACME) forgetDirectory(c *conversation) {
	if c != nil {
		a.current.CompareAndSwap(c, nil)
	}
}

// parseDirectory reads a directory (RFC 8555 §7.1.1) and refuses one that cannot be ordered from.
func parseDirectory(body []byte) (directory acme.Directory, err error) {
	if err := json.Unmarshal(body, &directory); err != nil {
		return directory, errors.New("it is not JSON")
	}
	for _, required := range []struct{ name, url string }{
		{"newNonce", directory.NewNonce}, {"newAccount", directory.NewAccount}, {"newOrder", directory.NewOrder},
	} {
		if checkURL(required.url) != nil {
			return directory, fmt.Errorf("its %s is not an https URL", required.name)
		}
	}
	if directory.RenewalInfo != "" && checkURL(directory.RenewalInfo) != nil {
		directory.RenewalInfo = ""
	}
	return directory, nil
}

func sameDirectory(a, b acme.Directory) bool { return fingerprint(a) == fingerprint(b) }

func fingerprint(d acme.Directory) string {
	text, _ := json.Marshal(d) // strings only: it cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// newClient makes an acmez client that finds this directory, and no network, when it looks for its own. acmez remembers directories by
// their URL, for the process; a fragment after it, which no server ever sees, tells one content from the next.
func (a *ACME) newClient(directory acme.Directory) *acme.Client {
	// With renewalInfo acmez would ask for it within each order, up to three times.
	directory.RenewalInfo = ""
	text, _ := json.Marshal(directory) // strings only: it cannot fail
	mark := fingerprint(directory)
	known := &http.Client{
		Transport:     &knownDirectory{mark: mark, text: text, next: a.http.Transport},
		Timeout:       a.http.Timeout,
		CheckRedirect: a.http.CheckRedirect,
	}
	return &acme.Client{
		Directory:   a.directory + "#" + mark,
		HTTPClient:  known,
		UserAgent:   "MetaHub",
		PollTimeout: a.patience.polling,
	}
}

// maxIdentities bounds what a directory may list of itself.
const maxIdentities = 20

// CAAIdentities are the names by which CAA records allow this CA (RFC 8659 §4.2): the directory's meta.caaIdentities; a CA may name none.
func (a *ACME) CAAIdentities(ctx context.Context) ([]string, error) {
	ctx, _ = withNotes(ctx)
	c, err := a.converse(ctx)
	if err != nil {
		return nil, a.classify(ctx, err, "")
	}
	if c.directory.Meta == nil {
		return nil, nil
	}
	var identities []string
	for _, name := range c.directory.Meta.CAAIdentities {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if isHostName(name) && len(identities) < maxIdentities {
			identities = append(identities, name)
		}
	}
	return identities, nil
}

func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		default:
			return false
		}
	}
	return true
}

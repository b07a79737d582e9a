package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// zeroSSLCredentials gives EAB credentials for an e-mail address.
const zeroSSLCredentials = "https://api.zerossl.com/acme/eab-credentials-email"

// check tells what is wrong with credentials, without showing them.
func (e EAB) check() error {
	if e.KeyID == "" || e.HMACKey == "" {
		return errors.New("eab needs a key id and an HMAC key")
	}
	if _, err := e.normal(); err != nil {
		return err
	}
	return nil
}

// normal is the HMAC key as RFC 8555 §7.3.4 has it: CAs show it with padding too, and in the alphabet of plain base64.
func (e EAB) normal() (EAB, error) {
	e.HMACKey = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimSpace(e.HMACKey)), "=")
	if raw, err := base64.RawURLEncoding.DecodeString(e.HMACKey); err != nil || len(raw) == 0 {
		return e, errors.New("the HMAC key of eab is not base64url; copy it as the CA shows it")
	}
	return e, nil
}

// binding returns the credentials to register with; nil when the CA wants none.
func (a *ACME) binding(ctx context.Context, c *conversation) (*EAB, error) {
	eab := a.config.EAB
	if eab == nil && a.config.EABEndpoint != "" {
		fetched, err := a.fetchEAB(ctx)
		if err != nil {
			return nil, err
		}
		eab = fetched
	}
	if eab == nil {
		if c.directory.Meta != nil && c.directory.Meta.ExternalAccountRequired {
			return nil, a.refused("it wants an external account; get EAB credentials there (a key id and an HMAC key) and set eab")
		}
		return nil, nil
	}
	normal, err := eab.normal()
	if err != nil {
		return nil, a.refused("%v", err)
	}
	return &normal, nil
}

// fetchEAB gets credentials for the e-mail address.
func (a *ACME) fetchEAB(ctx context.Context) (*EAB, error) {
	if a.config.Email == "" {
		return nil, a.refused("it opens accounts for an e-mail address; set email, or eab with credentials from its console")
	}
	form := strings.NewReader(url.Values{"email": {a.config.Email}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.config.EABEndpoint, form)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := a.do(r)
	if err != nil {
		var problem acme.Problem
		if errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests {
			return nil, a.refused("it gives no EAB credentials for the e-mail address (status %d); check email, or set eab", problem.Status)
		}
		return nil, err
	}
	return a.parseEAB(body)
}

// parseEAB reads ZeroSSL's answer, which says 200 to a refusal too.
func (a *ACME) parseEAB(body []byte) (*EAB, error) {
	var answer struct {
		KeyID   string `json:"eab_kid"`
		HMACKey string `json:"eab_hmac_key"`
		Error   struct {
			Type string `json:"type"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, a.unavailable("its answer about EAB credentials is not JSON", err)
	}
	eab := EAB{KeyID: answer.KeyID, HMACKey: answer.HMACKey}
	if err := eab.check(); err != nil {
		return nil, a.refused("it gives no EAB credentials for the e-mail address (%s); check email, or set eab", clip(answer.Error.Type, 100))
	}
	return &eab, nil
}

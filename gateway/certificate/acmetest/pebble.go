package acmetest

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// pebble is one life of the ACME server, put together as cmd/pebble does.
type pebble struct {
	acme, management http.Handler
	root             *x509.Certificate
}

func newPebble(o Options, dnsAddress string, logger *log.Logger) (*pebble, error) {
	restore, err := setEnvironment(map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_VA_ALWAYS_VALID": "",
		"PEBBLE_WFE_NONCEREJECT": strconv.Itoa(o.NonceReject),
		"PEBBLE_AUTHZREUSE":      strconv.Itoa(o.AuthzReuse),
	})
	if err != nil {
		return nil, err
	}
	defer restore()

	profiles := map[string]ca.Profile{}
	for name, life := range o.Profiles {
		profiles[name] = ca.Profile{Description: name, ValidityPeriod: uint64(life / time.Second)}
	}
	if len(profiles) == 0 {
		profiles["default"] = ca.Profile{Description: "default"}
	}
	store := db.NewMemoryStore()
	for id, key := range o.EAB {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			return nil, err
		}
	}
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(logger, o.HTTPPort, o.TLSPort, true, cmp.Or(o.DNS, dnsAddress), store)
	frontend := wfe.New(logger, store, validation, authority, []string{CAAIdentity}, true, len(o.EAB) > 0, 0, 0)
	p := &pebble{acme: frontend.Handler(), management: frontend.ManagementHandler()}
	p.root, err = p.fetchRoot()
	return p, err
}

// environment is held while Pebble reads its settings, which it takes from nowhere else.
var environment sync.Mutex

func setEnvironment(values map[string]string) (restore func(), err error) {
	environment.Lock()
	var undo []func()
	restore = func() {
		for _, f := range undo {
			f()
		}
		environment.Unlock()
	}
	for name, value := range values {
		before, had := os.LookupEnv(name)
		undo = append(undo, func() {
			if had {
				os.Setenv(name, before)
			} else {
				os.Unsetenv(name)
			}
		})
		if err := os.Setenv(name, value); err != nil {
			restore()
			return nil, err
		}
	}
	return restore, nil
}

func (p *pebble) fetchRoot() (*x509.Certificate, error) {
	answer := httptest.NewRecorder()
	p.management.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, wfe.RootCertPath+"0", nil))
	block, _ := pem.Decode(answer.Body.Bytes())
	if block == nil {
		return nil, errors.New("pebble shows no root")
	}
	return x509.ParseCertificate(block.Bytes)
}

// SetRenewalInfo has the CA suggest a window for the renewal of a certificate that it issued (RFC 9773 §4.2).
func (c *CA) SetRenewalInfo(t testing.TB, leaf *x509.Certificate, start, end time.Time) {
	t.Helper()
	window := fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`, start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	c.SetRenewalInfoText(t, leaf, window)
}

// SetRenewalInfoText has the CA answer a question for renewal information with any text.
func (c *CA) SetRenewalInfoText(t testing.TB, leaf *x509.Certificate, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		"ARIResponse": text,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	request.Header.Set("User-Agent", "acmetest") // demanded by RFC 8555 §6.1
	c.pebble.Load().management.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("set renewal info: %d %s", answer.Code, answer.Body)
	}
}

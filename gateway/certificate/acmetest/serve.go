package acmetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// The paths that Pebble serves new orders and new accounts at.
const (
	newOrderPath   = "/order-plz"
	newAccountPath = "/sign-me-up"
)

// serve passes a request to the fault, if there is one, else to Pebble, and counts what was made.
func (c *CA) serve(w http.ResponseWriter, r *http.Request) {
	// Read whole: net/http notices that a client left, and ends the request's context, only after the body.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if f := c.intercept.Load(); f != nil && (*f)(w, r) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &statusWriter{ResponseWriter: w, made: func() { c.counts.made(r.URL.Path, body) }}
	c.pebble.Load().acme.ServeHTTP(answer, r)
}

// statusWriter notices an answer that says 201, before the client has it, so that a test that has its certificate sees its order counted.
type statusWriter struct {
	http.ResponseWriter
	made func()
}

func (w *statusWriter) WriteHeader(status int) {
	if status == http.StatusCreated {
		w.made()
	}
	w.ResponseWriter.WriteHeader(status)
}

// counts are the orders and accounts that were made.
type counts struct {
	mu       sync.Mutex
	orders   int
	accounts int
	domains  map[string]int
}

func (c *counts) made(path string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case newAccountPath:
		c.accounts++
	case newOrderPath:
		c.orders++
		for _, domain := range orderedDomains(body) {
			if c.domains == nil {
				c.domains = map[string]int{}
			}
			c.domains[domain]++
		}
	}
}

// orderedDomains reads the identifiers out of a signed new-order request (RFC 8555 §7.4).
func orderedDomains(body []byte) (domains []string) {
	var signed struct{ Payload string }
	var order struct{ Identifiers []struct{ Value string } }
	if json.Unmarshal(body, &signed) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil {
		return nil
	}
	for _, identifier := range order.Identifiers {
		domains = append(domains, identifier.Value)
	}
	return domains
}

func (c *counts) allOrders() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orders
}

func (c *counts) ordersFor(domain string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.domains[domain]
}

func (c *counts) newAccounts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts
}

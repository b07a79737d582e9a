package issuer

import (
	"strings"
	"testing"
	"time"
)

// What passes for a token is one name in one folder of the storage.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{someToken, "../../etc/passwd", "aaaaaaaaaaaaaaaa/..", "", "CON.aaaaaaaaaaaaa", strings.Repeat("a", 129), "aaaaaaaaaaaaaaa\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if isToken(token) && (strings.ContainsAny(token, "/\\.:\x00") || len(token) > maxToken || len(token) < minToken) {
			t.Errorf("%q passes for a token", token)
		}
	})
}

func FuzzStoredChallenge(f *testing.F) {
	good, _ := formatChallenge(storedChallenge{Token: someToken, Host: "ensotek.example", KeyAuthorization: someAnswer, Expires: time.Now()})
	f.Add(good)
	f.Add([]byte(`{"token":"` + someToken + `","host":"a","key_authorization":"<x>"}`))
	f.Add([]byte(`[]`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseChallenge(text)
		if err != nil {
			return
		}
		again, err := formatChallenge(c)
		if err != nil {
			return // a time beyond the year 9999 can be read, and not written
		}
		if second, err := parseChallenge(again); err != nil || second.KeyAuthorization != c.KeyAuthorization || !second.Expires.Equal(c.Expires) {
			t.Errorf("%q reads back as %+v, %v", again, second, err)
		}
		if strings.ContainsAny(c.KeyAuthorization, "<>\"\r\n ") {
			t.Errorf("would answer %q", c.KeyAuthorization)
		}
	})
}

func FuzzDirectory(f *testing.F) {
	f.Add([]byte(`{"newNonce":"https://a/n","newAccount":"https://a/a","newOrder":"https://a/o","renewalInfo":"https://a/r","meta":{"profiles":{"p":"d"}}}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseDirectory(body)
		if err == nil && (checkURL(d.NewOrder) != nil || checkURL(d.NewAccount) != nil || checkURL(d.NewNonce) != nil) {
			t.Errorf("%+v passes for a directory", d)
		}
	})
}

func FuzzWindow(f *testing.F) {
	f.Add([]byte(`{"suggestedWindow":{"start":"2026-01-01T00:00:00Z","end":"2026-01-03T00:00:00Z"},"explanationURL":"https://ca.example/why"}`))
	f.Add([]byte(`{"suggestedWindow":{"start":"0001-01-01T00:00:01Z","end":"9999-12-31T23:59:59Z"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := parseWindow(body)
		if err != nil {
			return
		}
		if at := w.At("ensotek.example"); at.Before(w.Start) || at.After(w.End) {
			t.Errorf("renews at %s, outside %s to %s", at, w.Start, w.End)
		}
		if clip(w.URL, maxMessage) != w.URL {
			t.Errorf("shows the URL %q", w.URL)
		}
	})
}

func FuzzChain(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"))
	f.Add([]byte(""))
	key, err := NewKey("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseChain(text, "ensotek.example", key.Public(), time.Now()); err == nil {
			t.Error("a chain for a key that nobody certified")
		}
	})
}

func FuzzAccount(f *testing.F) {
	f.Add([]byte(`{"directory":"https://a","location":"https://a/1","key":"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, text []byte) {
		if stored, key, err := parseAccount(text); err == nil && (key == nil || stored.Location != "" && checkURL(stored.Location) != nil) {
			t.Errorf("%+v passes for an account", stored)
		}
	})
}

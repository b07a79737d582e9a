package adopt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzStore: whatever acme.json holds, reading it ends, and what is taken is sound.
func FuzzStore(f *testing.F) {
	ca := letsEncrypt(f)
	good, other := ca.files("ensotek.de", "*.ensotek.de"), ca.files("radanor.de")
	whole := storeJSON(f, map[string][]files{"le": {good, other, {full: good.full, key: other.key}}})
	f.Add([]byte(whole))
	f.Add([]byte(whole[:len(whole)/2]))
	f.Add([]byte(`{"Account": {}, "Certificates": [{"Domain": {"Main": "a", "SANs": null}, "Certificate": "` + base64.StdEncoding.EncodeToString([]byte(good.full)) + `", "Key": "AA"}], "x": [[[]]]}`))
	f.Add([]byte(`{"le": {"Certificates": [5, null, {"domain": []}, {"certificate": "%%"}], "Certificates": {}, "a": "b"}, "le": 7}`))
	f.Add([]byte(`[{}]`))
	f.Add([]byte(`{"le`))
	f.Fuzz(func(t *testing.T, text []byte) {
		run := newFinder(today)
		run.store("acme.json", bytes.NewReader(text), true)
		judgeFuzzed(t, run.findings(), keysOf(text))
	})
}

// keysOf are the decoded keys of a store that can be read whole.
func keysOf(text []byte) []byte {
	var store map[string]struct{ Certificates []struct{ Key []byte } }
	if json.Unmarshal(text, &store) != nil {
		return nil
	}
	var keys []byte
	for _, resolver := range store {
		for _, entry := range resolver.Certificates {
			keys = append(append(keys, entry.Key...), '\n')
		}
	}
	return keys
}

// FuzzBundle: whatever two PEM files hold, reading them ends, what is taken is sound, and no key is quoted.
func FuzzBundle(f *testing.F) {
	ca := letsEncrypt(f)
	good, other := ca.files("ensotek.de", "*.ensotek.de"), ca.files("radanor.de")
	f.Add([]byte(good.full), []byte(good.key))
	f.Add([]byte(good.key+good.chain+good.cert), []byte(other.full+other.key))
	f.Add([]byte(encode(ca.root, ca.issuing)+good.cert), []byte(good.key+other.key))
	f.Add([]byte(good.full[:300]), []byte(good.key[:100]))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte(good.full), []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		folder := t.TempDir()
		write(t, string(one), folder, "x.crt")
		write(t, string(two), folder, "x.key")
		judgeFuzzed(t, Find([]string{folder}, today), append(append(bytes.Clone(one), '\n'), two...))
	})
}

func judgeFuzzed(t *testing.T, got Findings, secret []byte) {
	for _, f := range got.Found {
		sound(t, f)
		if !today.Before(f.Record.Leaf.NotAfter) {
			t.Errorf("%q was taken and has expired", f.Record.Domain)
		}
	}
	for _, u := range got.Unread {
		if u.Path == "" || u.Reason == "" || len(u.Reason) > 3000 {
			t.Errorf("a line says %q: %q", u.Path, u.Reason)
		}
		for line := range strings.Lines(string(secret)) {
			if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") && strings.Contains(u.Reason, line) {
				t.Errorf("a reason quotes a file: %q", u.Reason)
			}
		}
	}
}

package tickets

import (
	"crypto/tls"
	"slices"
	"testing"
)

// rotate lets the clock run until all gateways encrypt with the next key.
func rotate(t *testing.T, storage *sickly, c *clock, gateways ...*gateway) {
	t.Helper()
	old := gateways[0].first()
	all := func(holds func(*gateway) bool) func() bool {
		return func() bool { return !slices.ContainsFunc(gateways, func(g *gateway) bool { return !holds(g) }) }
	}
	c.advance(testEvery - 2*testPoll)
	eventually(t, "all know the next key", all(func(g *gateway) bool {
		next := newest(t, storage)
		return next != old && g.first() == old && slices.Contains(g.current(), next)
	}))
	c.advance(2 * testPoll)
	eventually(t, "all use it", all(func(g *gateway) bool { return g.first() == newest(t, storage) }))
}

// newest is the first key in the storage.
func newest(t *testing.T, storage *sickly) [32]byte {
	t.Helper()
	text, err := storage.Storage.Load(t.Context(), storageKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].secret
}

func TestResumeElsewhere(t *testing.T) {
	f := func(version uint16) {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			folder, c, certificate := t.TempDir(), newClock(), newCertificate(t)
			storage := openStorage(t, folder)
			a, b := newGateway(t, storage, c, certificate), newGateway(t, openStorage(t, folder), c, certificate)
			visitor := newBrowser(certificate, version)
			if visitor.resumes(t, a) {
				t.Fatal("a first visit resumed")
			}
			if !visitor.resumes(t, b) || !visitor.resumes(t, a) {
				t.Error("a session does not resume at the other gateway")
			}
			patient, away := newBrowser(certificate, version), newBrowser(certificate, version)
			patient.resumes(t, a)
			away.resumes(t, a)
			rotate(t, storage, c, a, b)
			if !patient.resumes(t, b) {
				t.Error("a session does not resume after a rotation")
			}
			fresh := newBrowser(certificate, version)
			if fresh.resumes(t, b); !fresh.resumes(t, a) {
				t.Error("a session with the new key does not resume at the other gateway")
			}
			for range 4 {
				rotate(t, storage, c, a, b)
			}
			if away.resumes(t, b) {
				t.Error("a ticket opened after its key was dropped")
			}
			// that was a full handshake, with a new ticket
			if !away.resumes(t, a) {
				t.Error("the new session does not resume")
			}
		})
	}
	f(tls.VersionTLS12)
	f(tls.VersionTLS13)
}

package issuer

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const (
	someToken  = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
	someAnswer = someToken + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
)

func TestAnnounced(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	here, elsewhere := NewChallenges(storage, nil), NewChallenges(storage, nil)
	withdraw, err := here.Announce(t.Context(), "ensotek.example", someToken, someAnswer)
	if err != nil {
		t.Fatal(err)
	}
	f := func(c *Challenges, host, token, want string) {
		t.Helper()
		got, ok := c.KeyAuthorization(t.Context(), host, token)
		if got != want && ok || ok != (want != "") {
			t.Errorf("%s %s: %q %v, want %q", host, token, got, ok, want)
		}
	}
	for _, c := range []*Challenges{here, elsewhere} {
		f(c, "ensotek.example", someToken, someAnswer)
		f(c, "Ensotek.Example", someToken, someAnswer)
		f(c, "stranger.example", someToken, "")
		f(c, "ensotek.example", strings.ToLower(someToken), "")
		f(c, "ensotek.example", "../../etc/passwd", "")
	}
	withdraw()
	withdraw()
	f(here, "ensotek.example", someToken, "")
	f(elsewhere, "ensotek.example", someToken, "")
}

func TestAnnouncementsThatAreRefused(t *testing.T) {
	c := NewChallenges(&certmagic.FileStorage{Path: t.TempDir()}, nil)
	f := func(host, token, answer, want string) {
		t.Helper()
		if _, err := c.Announce(t.Context(), host, token, answer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("ensotek.example", "../../../etc/passwd", "x", "token")
	f("ensotek.example", "short", "x", "token")
	f("ensotek.example", strings.Repeat("a", 129), "x", "token")
	f("ensotek.example/..", someToken, someAnswer, "host")
	f("ensotek.example", someToken, "<script>", "key authorization")
	f("ensotek.example", someToken, "", "key authorization")
}

func TestStoredChallengesThatAreNotAnswered(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	c := NewChallenges(storage, nil)
	f := func(text string) {
		t.Helper()
		if err := storage.Store(t.Context(), challengeKey(someToken), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if answer, ok := c.KeyAuthorization(t.Context(), "ensotek.example", someToken); ok {
			t.Errorf("%s was answered %q", text, answer)
		}
	}
	entry := func(change func(*storedChallenge)) string {
		c := storedChallenge{Token: someToken, Host: "ensotek.example", KeyAuthorization: someAnswer, Expires: time.Now().Add(time.Minute)}
		change(&c)
		text, err := formatChallenge(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	f("")
	f(`{"token":"`)
	f(strings.Repeat(" ", maxChallengeFile) + entry(func(*storedChallenge) {}))
	f(entry(func(c *storedChallenge) { c.Expires = time.Now().Add(-time.Second) }))
	f(entry(func(c *storedChallenge) { c.Token = strings.ToLower(someToken) }))
	f(entry(func(c *storedChallenge) { c.Host = "other.example" }))
	f(strings.Replace(entry(func(*storedChallenge) {}), someAnswer, `<script>`, 1))

	storage.Store(t.Context(), challengeKey(someToken), []byte(entry(func(*storedChallenge) {})))
	if _, ok := c.KeyAuthorization(t.Context(), "ensotek.example", someToken); !ok {
		t.Error("a good one was not answered")
	}
}

// A flood of tokens asks the storage a few at a time; what is no token never.
func TestFloodOfTokens(t *testing.T) {
	storage := &slowStorage{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	core, logs := observer.New(zapcore.DebugLevel)
	c := NewChallenges(storage, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 100 {
		token := strings.Repeat("t", minToken+i)
		all.Go(func() { c.KeyAuthorization(ctx, "ensotek.example", token) })
		all.Go(func() { c.KeyAuthorization(ctx, "ensotek.example", token+".php") })
	}
	eventually(t, "the reads are as many as there may be", func() bool { return storage.now.Load() == maxReading })
	cancel()
	all.Wait()
	if most := storage.most.Load(); most > maxReading {
		t.Errorf("%d reads at once, want at most %d", most, maxReading)
	}
	if logs.Len() > 0 {
		t.Errorf("the flood was logged: %v", logs.All()[0])
	}
}

// slowStorage holds reads up until their context ends.
type slowStorage struct {
	certmagic.Storage
	now, most atomic.Int32
}

func (s *slowStorage) Load(ctx context.Context, key string) ([]byte, error) {
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestALPNAnnouncements(t *testing.T) {
	c := NewChallenges(&certmagic.FileStorage{Path: t.TempDir()}, nil)
	if c.ALPNCertificate("ensotek.example") != nil {
		t.Error("a certificate from nowhere")
	}
	first, second := tlsCertificate(t, "ensotek.example"), tlsCertificate(t, "ensotek.example")
	withdrawFirst := c.announceALPN("ensotek.example", first)
	withdrawSecond := c.announceALPN("ensotek.example", second)
	if c.ALPNCertificate("ensotek.example") != second {
		t.Error("not the latest")
	}
	withdrawSecond()
	if c.ALPNCertificate("ensotek.example") != first {
		t.Error("the first went with the second")
	}
	withdrawFirst()
	withdrawFirst()
	if c.ALPNCertificate("ensotek.example") != nil || len(c.handshake) != 0 {
		t.Error("something stays")
	}
}

func TestSweep(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	c := NewChallenges(storage, nil)
	if err := c.Sweep(t.Context()); err != nil {
		t.Errorf("an empty storage: %v", err)
	}
	if _, err := c.Announce(t.Context(), "ensotek.example", someToken, someAnswer); err != nil {
		t.Fatal(err)
	}
	stale, err := formatChallenge(storedChallenge{Token: "a-token-that-is-old", Host: "old.example", KeyAuthorization: "a.b", Expires: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	storage.Store(t.Context(), challengeKey("a-token-that-is-old"), stale)
	storage.Store(t.Context(), challengeKey("torn-torn-torn-torn"), nil)
	if err := c.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	for key, stays := range map[string]bool{challengeKey(someToken): true, challengeKey("a-token-that-is-old"): false, challengeKey("torn-torn-torn-torn"): false} {
		if _, err := storage.Load(t.Context(), key); stays && err != nil || !stays && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want it to stay: %v", key, err, stays)
		}
	}
}

// The gateway that orders is not the one that the CA comes to.
func TestChallengeAnsweredByAnotherGateway(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	storage := &certmagic.FileStorage{Path: e.storage.(*certmagic.FileStorage).Path}
	a := e.issuer(t, ca, func(c *Config) {
		c.Storage, c.Challenges, c.TLSALPN01 = storage, NewChallenges(storage, nil), false
	})
	mustObtain(t, a, ca, Order{Domain: "shared.example"})
}

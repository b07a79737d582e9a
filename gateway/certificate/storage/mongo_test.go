package storage

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestParseURI(t *testing.T) {
	f := func(uri, name, database string) {
		t.Helper()
		got, err := parseURI(uri)
		if (err == nil) != (name != "") || got.name != name || got.database != database {
			t.Errorf("parseURI(%q) = %q, %q, %v", uri, got.name, got.database, err)
		}
	}
	f("mongodb://db.example", "mongodb://db.example/metahub", "metahub")
	f("mongodb://db.example/", "mongodb://db.example/metahub", "metahub")
	f("mongodb://u:p@db.example:27017,b.example/certs?replicaSet=rs", "mongodb://db.example:27017,b.example/certs", "certs")
	f("mongodb+srv://u:p%40ss@cluster.example/?retryWrites=true", "mongodb+srv://cluster.example/metahub", "metahub")
	f("mongodb://u:p@ss@db.example/x", "mongodb://db.example/x", "x")
	f("", "", "")
	f("certs", "", "")
	f("http://db.example", "", "")
	f("mongodb://", "", "")
	f("mongodb://u:p@/x", "", "")
}

// No error shows a password, whether the URI, the server or the network is at fault.
func TestMongoErrorsAreRedacted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	good := strings.TrimPrefix(startMongo(t)("x"), "mongodb://")
	for _, uri := range []string{
		"mongodb://user:p4ssw%30rd@" + closed + "/x",
		"mongodb://user:p4ssw0rd@" + good + "?authMechanism=NONSENSE",
		"mongodb://user:p4ssw0rd@" + good + "?w=-5",
		"mongodb://user:p4ssw0rd@h:port/x",
		"postgres://user:p4ssw0rd@h/x",
		"mongodb://user:p4ssw0rd@" + closed + "/x?tls=perhaps",
	} {
		_, err := OpenMongo(t.Context(), uri, false, nil)
		if err == nil {
			t.Errorf("%q can be opened", uri)
			continue
		}
		if text := err.Error(); strings.Contains(text, "p4ssw") {
			t.Errorf("the error is %q", text)
		}
	}
	s := openMongo(t, "mongodb://"+good)
	if strings.Contains(s.String(), "@") || !strings.HasPrefix(s.String(), "mongodb://127.0.0.1:") {
		t.Errorf("it is called %q", s)
	}
}

// A server that does not answer costs a caller the time of one call.
func TestMongoThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			})
		}
	})
	begun := time.Now()
	_, err = OpenMongo(t.Context(), "mongodb://"+listener.Addr().String(), false, nil)
	if took := time.Since(begun); err == nil || took > 3*callTimeout { // the driver may wait for its monitor's connection once more
		t.Errorf("%v after %v", err, took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = OpenMongo(ctx, "mongodb://"+listener.Addr().String(), false, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	listener.Close()
	running.Wait()
}

// What a holder sends before its lease ends, and what arrives after a later holder's write, is refused by the document itself.
func TestMongoFence(t *testing.T) {
	s := openMongo(t, startMongo(t)("fence"))
	const key = "certificates/a.pem"
	store := func(lock string, token int64, value string) error {
		unfenced := bson.A{bson.D{{Key: "lock", Value: bson.D{{Key: "$ne", Value: lock}}}}, bson.D{{Key: "fence", Value: bson.D{{Key: "$lte", Value: token}}}}}
		filter := bson.D{{Key: "_id", Value: key}, {Key: "$or", Value: unfenced}}
		return s.write(t.Context(), key, []byte(value), filter, bson.D{{Key: "lock", Value: lock}, {Key: "fence", Value: token}})
	}
	f := func(lock string, token int64, value, want string) {
		t.Helper()
		if err := store(lock, token, value); (err == nil) != (value == want) || err != nil && !errors.Is(err, ErrLockLost) {
			t.Errorf("storing %q: %v", value, err)
		}
		expectValue(t, s, key, want)
	}
	f("order", 5, "first", "first")
	f("order", 6, "successor's", "successor's")
	f("order", 5, "late", "successor's")
	f("order", 6, "again", "again")
	f("adopt", 1, "another lock", "another lock")
	mustStore(t, s, key, "without a lock")
	f("adopt", 1, "back", "back")
}

// One that slept between its look and its insert may insert a token that was given and cleared away; it must not count.
func TestMongoOldTokenIsNoClaim(t *testing.T) {
	s := openMongo(t, startMongo(t)("tokens"))
	for range 3 {
		mustLock(t, s, "order")
		mustUnlock(t, s, "order")
	}
	mustLock(t, s, "order")
	old := mongoClaim{ID: claimID("order", 2), Token: 2, Owner: "slept"}
	if _, err := s.locks.claims.InsertOne(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := s.locks.stillOurs(t.Context(), "order", claim{token: 2, owner: "slept"}); !errors.Is(err, errTaken) {
		t.Errorf("an old token is in force: %v", err)
	}
	if err := s.locks.renew(t.Context(), "order", claim{token: 2, owner: "slept", renewals: 1}); !errors.Is(err, errTaken) {
		t.Errorf("an old token is renewed: %v", err)
	}
	if err := s.StoreLocked(t.Context(), "order", "certificates/a.pem", []byte("a")); err != nil {
		t.Error(err)
	}
	mustUnlock(t, s, "order")
	mustLock(t, s, "order")
	if token := tokenOf(t, s, "order"); token != 5 {
		t.Errorf("token %d", token)
	}
	if n, err := s.locks.claims.CountDocuments(t.Context(), bson.D{}); n != 1 || err != nil {
		t.Errorf("%d claims are kept, %v", n, err)
	}
}

// Deletions are forgotten when they are old.
func TestMongoForgetsDeletions(t *testing.T) {
	s := openMongo(t, startMongo(t)("deletions"))
	mustStore(t, s, "a", "a")
	old := bson.D{{Key: "_id", Value: "old"}, {Key: "keys", Value: bson.A{"x"}}, {Key: "modified", Value: time.Now().Add(-deletedLife - time.Minute)}}
	young := bson.D{{Key: "_id", Value: "young"}, {Key: "keys", Value: bson.A{"y"}}, {Key: "modified", Value: time.Now().Add(-deletedLife + time.Minute)}}
	if _, err := s.deleted.InsertMany(t.Context(), []any{old, young}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.deleted.CountDocuments(t.Context(), bson.D{}); n != 2 || err != nil {
		t.Errorf("%d deletions are known, %v", n, err)
	}
}

// One who has a copy to go on with opens a storage that is down; its errors show no password.
func TestMongoMayBeDown(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	s, err := OpenMongo(t.Context(), "mongodb://user:p4ssw0rd@"+closed, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	if _, err := s.Load(t.Context(), "certificates/a.pem"); err == nil || strings.Contains(err.Error(), "p4ssw0rd") {
		t.Errorf("loading from a storage that is down: %v", err)
	}
}

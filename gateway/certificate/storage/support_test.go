package storage

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestMain is also the main of child processes, which tests start to kill them.
func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		os.Exit(beChild(child, os.Getenv(folderVariable)))
	}
	os.Exit(m.Run())
}

const (
	childVariable  = "METAHUB_STORAGE_CHILD"
	folderVariable = "METAHUB_STORAGE_FOLDER"
)

// startChild runs this test binary as a process that does what beChild says; it is killed at the end of the test.
func startChild(t *testing.T, what, folder string) *exec.Cmd {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+what, folderVariable+"="+folder)
	child.Stderr = os.Stderr
	if _, err := child.StdinPipe(); err != nil { // which ends with this process
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
	})
	return child
}

// making is for tests that start databases at once: ferretdb.New writes a variable of its package.
var making sync.Mutex

// startMongo runs FerretDB for the length of the test and returns a function that makes URIs of its databases.
func startMongo(t testing.TB) func(database string) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-stopped
	})
	return func(database string) string { return strings.TrimSuffix(server.MongoDBURI(), "/") + "/" + database }
}

func openFolder(t testing.TB, path string) *folder {
	t.Helper()
	s, err := OpenFolder(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	return s.(*folder)
}

func openMongo(t testing.TB, uri string) *mongoStorage {
	t.Helper()
	s, err := OpenMongo(t.Context(), uri, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	return s.(*mongoStorage)
}

func closeLater(t testing.TB, s Storage) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}

func mustStore(t testing.TB, s Storage, key, value string) {
	t.Helper()
	if err := s.Store(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func expectValue(t testing.TB, s Storage, key, want string) {
	t.Helper()
	if got, err := s.Load(t.Context(), key); err != nil || string(got) != want {
		t.Errorf("%q is %q, %v; want %q", key, got, err, want)
	}
}

func expectAbsent(t testing.TB, s Storage, key string) {
	t.Helper()
	if got, err := s.Load(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q is %q, %v; want fs.ErrNotExist", key, got, err)
	}
}

func mustLock(t testing.TB, s Storage, name string) {
	t.Helper()
	if ok, err := s.TryLock(t.Context(), name); err != nil || !ok {
		t.Fatalf("the lock %q is not to be had: %v, %v", name, ok, err)
	}
}

func mustUnlock(t testing.TB, s Storage, name string) {
	t.Helper()
	if err := s.Unlock(t.Context(), name); err != nil {
		t.Error(err)
	}
}

func mustChanges(t testing.TB, s Storage, prefix string, since Mark) ([]string, Mark) {
	t.Helper()
	keys, next, err := s.Changes(t.Context(), prefix, since)
	if err != nil {
		t.Fatal(err)
	}
	return keys, next
}

func watchLog(t testing.TB) (*zap.Logger, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.WarnLevel)
	return zap.New(core), logs
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, patience time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

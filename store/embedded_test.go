package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/store"
)

func TestEmbeddedKeepsDocuments(t *testing.T) {
	data := t.TempDir()
	for i := range int64(3) {
		s := store.New(store.Config{Data: data})
		if got := count(t, s, newTenant("a", "")); got != i {
			t.Errorf("start %d: got %d documents, want %d", i, got, i)
		}
		insert(t, s, newTenant("a", ""), "x")
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// Changes of one document at once are all kept.
func TestEmbeddedLosesNoChange(t *testing.T) {
	s := open(t, store.Config{})
	tn := newTenant("a", "")
	change := func(filter, update bson.D) {
		err := s.Do(t.Context(), tn, func(ctx context.Context, db *mongo.Database) error {
			return db.Collection("c").FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetUpsert(true)).Err()
		})
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			t.Error(err)
		}
	}
	document := bson.D{{Key: "_id", Value: 1}}
	change(document, bson.D{{Key: "$set", Value: bson.D{{Key: "begun", Value: true}}}})
	var running sync.WaitGroup
	for n := range 32 {
		running.Go(func() { change(document, bson.D{{Key: "$set", Value: bson.D{{Key: fmt.Sprint("f", n), Value: n}}}}) })
	}
	running.Wait()

	var kept bson.D
	err := s.Do(t.Context(), tn, func(ctx context.Context, db *mongo.Database) error {
		return db.Collection("c").FindOne(ctx, document).Decode(&kept)
	})
	if err != nil || len(kept) != 2+32 {
		t.Errorf("got %d fields, %v, want _id, begun and all 32 that were set", len(kept), err)
	}
}

func TestEmbeddedStartsWhenNeeded(t *testing.T) {
	data := t.TempDir()
	s := open(t, store.Config{Data: data})
	insert(t, s, newTenant("a", startServer(t).uri("")), "x")
	if entries, err := os.ReadDir(data); err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v, want an empty data folder", entries, err)
	}
}

// Nobody but the owner reaches the server or its files.
func TestEmbeddedIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	data := t.TempDir()
	s := open(t, store.Config{Data: data})
	insert(t, s, newTenant("a", ""), "x")
	for _, folder := range []string{"embedded", "embedded/run"} {
		info, err := os.Stat(filepath.Join(data, folder))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got mode %o, want 700", folder, info.Mode().Perm())
		}
	}
}

// The path of a Unix socket has about 100 bytes, the data folder may have more.
func TestEmbeddedLongPath(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "with space")
	s := open(t, store.Config{Data: data})
	insert(t, s, newTenant("a", ""), "x")
	other := open(t, store.Config{Data: data})
	if got := count(t, other, newTenant("a", "")); got != 1 {
		t.Errorf("got %d documents, want 1", got)
	}
}

func TestEmbeddedOddFolder(t *testing.T) {
	for _, name := range []string{"a?b", "a#b", "a%b", "a*b", "a[b"} {
		s := open(t, store.Config{Data: filepath.Join(t.TempDir(), name)})
		unavailable := mustBeUnavailable(t, s.Do(t.Context(), newTenant("a", ""), nothing))
		if !strings.Contains(unavailable.Error(), "choose another data folder") {
			t.Errorf("%s: got %v, want what to do", name, unavailable)
		}
	}
}

// A second process on the same folder works through the first, and in its place once it is gone.
func TestEmbeddedSecondProcess(t *testing.T) {
	data := t.TempDir()
	first := store.New(store.Config{Data: data})
	second := open(t, store.Config{Data: data})
	a := newTenant("a", "")
	insert(t, first, a, "1")
	insert(t, second, a, "2")
	for _, s := range []*store.Store{first, second} {
		if got := count(t, s, a); got != 2 {
			t.Errorf("got %d documents, want 2", got)
		}
	}
	if err := first.Close(context.Background()); err != nil {
		t.Error(err)
	}
	eventually(t, "the second serves", func() bool { return second.Do(t.Context(), a, ping) == nil })
	if got := count(t, second, a); got != 2 {
		t.Errorf("got %d documents, want 2", got)
	}
	third := open(t, store.Config{Data: data})
	insert(t, third, a, "3")
	if got := count(t, second, a); got != 3 {
		t.Errorf("got %d documents, want 3", got)
	}
}

// writerFolder is the environment variable that makes this test a writer for TestKilled.
const writerFolder = "METAHUB_TEST_WRITER_FOLDER"

// What was acknowledged is there after kill -9.
func TestKilled(t *testing.T) {
	if folder := os.Getenv(writerFolder); folder != "" {
		writeUntilKilled(t, folder)
		return
	}
	data := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		acknowledged = append(acknowledged, killWriter(t, data, round)...)
		s := store.New(store.Config{Data: data})
		missing := absent(t, s, acknowledged)
		if len(missing) > 0 {
			t.Errorf("round %d: %d of %d acknowledged documents are lost, like %q", round, len(missing), len(acknowledged), missing[0])
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d documents acknowledged in 3 processes, none lost", len(acknowledged))
}

// killWriter runs this test as a writer, kills it after 200 acknowledged documents, and returns all that were.
func killWriter(t *testing.T, data string, round int) (acknowledged []string) {
	t.Helper()
	writer := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	writer.Env = append(os.Environ(), writerFolder+"="+data, fmt.Sprint("METAHUB_TEST_ROUND=", round))
	output, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
		if !ok {
			continue
		}
		acknowledged = append(acknowledged, id)
		if len(acknowledged) == 200 {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Wait(); err == nil || len(acknowledged) < 200 {
		t.Fatalf("the writer ended by itself after %d documents: %v", len(acknowledged), err)
	}
	return acknowledged
}

func writeUntilKilled(t *testing.T, data string) {
	s := store.New(store.Config{Data: data})
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv("METAHUB_TEST_ROUND"), writer, n)
				err := s.Do(context.Background(), newTenant("a", ""), func(ctx context.Context, db *mongo.Database) error {
					_, err := db.Collection("c").InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "text", Value: strings.Repeat("x", 500)}})
					return err
				})
				if err != nil {
					t.Errorf("writing: %v", err)
					return
				}
				os.Stdout.WriteString("acknowledged " + id + "\n") // one write, so that a line is whole or not there
			}
		})
	}
	writers.Wait()
}

func absent(t *testing.T, s *store.Store, ids []string) (missing []string) {
	t.Helper()
	stored := map[string]bool{}
	err := s.Do(t.Context(), newTenant("a", ""), func(ctx context.Context, db *mongo.Database) error {
		cursor, err := db.Collection("c").Find(ctx, bson.D{})
		if err != nil {
			return err
		}
		var documents []struct {
			ID string `bson:"_id"`
		}
		err = cursor.All(ctx, &documents)
		for _, document := range documents {
			stored[document.ID] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !stored[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// Nothing but files of the database stays behind.
func TestEmbeddedLeavesNoSocket(t *testing.T) {
	data := t.TempDir()
	s := store.New(store.Config{Data: data})
	insert(t, s, newTenant("a", ""), "x")
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSocket != 0 {
			t.Errorf("the socket %s is still there", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

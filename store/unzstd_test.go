package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"

	"metahub/bench/mongod"
	"metahub/tenant"
)

// packed is an OP_COMPRESSED that says it unpacks to so many bytes.
func packed(compressor wiremessage.CompressorID, size uint32, content []byte) []byte {
	m := wiremessage.AppendHeader(nil, 0, 1, 2, wiremessage.OpCompressed)
	m = wiremessage.AppendCompressedOriginalOpCode(m, wiremessage.OpMsg)
	m = binary.LittleEndian.AppendUint32(m, size)
	m = wiremessage.AppendCompressedCompressorID(m, compressor)
	m = append(m, content...)
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	return m
}

// zeros are so many bytes compressed, with or without a word in the frame of how many.
func zeros(t testing.TB, n int, said bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if said {
		return w.EncodeAll(make([]byte, n), nil)
	}
	for part := make([]byte, 1<<20); n > 0; n -= len(part) {
		if _, err := w.Write(part[:min(n, len(part))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGuardUnpacksZstd(t *testing.T) {
	unzstd, err := newUnzstd()
	if err != nil {
		t.Fatal(err)
	}
	defer unzstd.Close()
	f := func(name string, sent []byte, want int) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := io.ReadAll(&guarded{Conn: readConn{bytes.NewReader(sent)}, compressed: true, unzstd: unzstd})
		runtime.ReadMemStats(&after)
		if len(got) != want || (err == nil) != (want > 0) || err != nil && !errors.Is(err, errReplyCompressed) {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, want)
		}
		if want > 0 && !bytes.Equal(got[:headerSize], wiremessage.AppendHeader(nil, int32(want), 1, 2, wiremessage.OpMsg)) {
			t.Errorf("%s: the header is %x", name, got[:headerSize])
		}
		if made := after.TotalAlloc - before.TotalAlloc; want == 0 && made > 3*maxReply {
			t.Errorf("%s: took %d MB", name, made>>20)
		}
	}
	for _, said := range []bool{true, false} {
		f("as long as it says", packed(wiremessage.CompressorZstd, 1000, zeros(t, 1000, said)), headerSize+1000)
		f("long", packed(wiremessage.CompressorZstd, 16<<20, zeros(t, 16<<20, said)), headerSize+16<<20)
		f("longer than it says", packed(wiremessage.CompressorZstd, 1000, zeros(t, 1001, said)), 0)
		f("shorter", packed(wiremessage.CompressorZstd, 1000, zeros(t, 999, said)), 0)
		f("a bomb", packed(wiremessage.CompressorZstd, 1000, zeros(t, 96<<20, said)), 0)
		f("a bomb that says it is long", packed(wiremessage.CompressorZstd, maxReply-headerSize, zeros(t, 96<<20, said)), 0)
		f("of many frames", packed(wiremessage.CompressorZstd, 1000, bytes.Repeat(zeros(t, 1000, said), 100)), 0)
	}
	f("broken", packed(wiremessage.CompressorZstd, 1000, []byte("not zstd")), 0)
	f("longer than there is", packed(wiremessage.CompressorZstd, maxReply-headerSize+1, nil), 0)
	unzstd = nil
	f("unasked", packed(wiremessage.CompressorZstd, 1000, zeros(t, 1000, true)), 0)
}

// A database whose URI asks for zstd is spoken with in it.
func TestZstdOnTheWire(t *testing.T) {
	documents := mongod.Documents(100)
	var asked atomic.Int32
	server, err := mongod.Start(func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		if mongod.Name(command) != "find" {
			return nil
		}
		asked.Add(1)
		return mongod.FirstBatch("a.c", 0, documents...)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := New(Config{Data: t.TempDir()})
	defer s.Close(context.Background())
	one := &tenant.Tenant{Slug: "a", Database: tenant.Database{Name: "a", URI: tenant.NewSecret(server.URI("?compressors=zstd"))}}
	err = s.Do(t.Context(), one, func(ctx context.Context, db *mongo.Database) error {
		cursor, err := Query(ctx, db, bson.D{{Key: "find", Value: "c"}})
		if err != nil {
			return err
		}
		var got []bson.Raw
		if err := cursor.All(ctx, &got); err != nil {
			return err
		}
		if len(got) != len(documents) || !bytes.Equal(got[99], documents[99]) {
			t.Errorf("got %d documents", len(got))
		}
		return nil
	})
	if err != nil || asked.Load() != 1 || server.Compressed() == 0 {
		t.Errorf("%v, asked %d times, %d messages compressed", err, asked.Load(), server.Compressed())
	}
}

// FuzzUnzstd feeds compressed messages: what passes is a whole message of a possible length, or what the driver bounds itself.
func FuzzUnzstd(f *testing.F) {
	unzstd, err := newUnzstd()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed(wiremessage.CompressorZstd, 1000, zeros(f, 1000, true)))
	f.Add(packed(wiremessage.CompressorZstd, 1000, zeros(f, 1<<20, false)))
	f.Add(packed(wiremessage.CompressorSnappy, 1000, []byte("snappy")))
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < headerSize {
			return
		}
		g := &guarded{compressed: true, unzstd: unzstd}
		got, err := g.uncompressed(message)
		if err != nil {
			return
		}
		if _, body, _ := wiremessage.ReadCompressedUncompressedSize(message[headerSize+4:]); body[0] != byte(wiremessage.CompressorZstd) {
			if !bytes.Equal(got, message) {
				t.Fatal("a message that is not by zstd was changed")
			}
			return
		}
		if size := int(binary.LittleEndian.Uint32(got)); size != len(got) || size > maxReply {
			t.Fatalf("a message of %d bytes that says %d passed", len(got), size)
		}
	})
}

package gateway

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
)

// batcher notes what a joined connection has it keep back and send.
type batcher struct {
	net.Conn
	keeps bool
	sends []int // the records that left with each
	kept  int
}

func (b *batcher) Gather(on bool) { b.keeps = on }

func (b *batcher) Write(p []byte) (int, error) {
	b.kept++
	if !b.keeps {
		b.sends = append(b.sends, b.kept)
		b.kept = 0
	}
	return b.Conn.Write(p)
}

// TestJoined has each write leave as one, whatever it takes of records.
func TestJoined(t *testing.T) {
	a := newAuthority(t)
	near, far := net.Pipe()
	below := &batcher{Conn: near}
	config := a.TLSConfig()
	config.DynamicRecordSizingDisabled = true // smaller records at first
	server := tls.Server(below, config)
	client := tls.Client(far, &tls.Config{ServerName: "a.test", RootCAs: a.pool()})
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(client)
		got <- all
	}()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	below.sends = nil
	layer := join(server, &connection{Conn: below})
	sent := make([]byte, 200_000)
	for i := range sent {
		sent[i] = byte(i * 7 / 3)
	}
	var want []int
	left := sent
	for _, f := range []struct{ bytes, records int }{{1, 1}, {maxRecord, 1}, {maxRecord + 1, 2}, {4 * maxRecord, 4}, {70_000, 5}} {
		want = append(want, f.records)
		if n, err := layer.Write(left[:f.bytes]); n != f.bytes || err != nil {
			t.Fatalf("%d of %d bytes were written: %v", n, f.bytes, err)
		}
		left = left[f.bytes:]
	}
	if !slices.Equal(below.sends, want) {
		t.Errorf("records left together: %d, want %d", below.sends, want)
	}
	_ = near.Close()
	if all := <-got; !bytes.Equal(all, sent[:len(sent)-len(left)]) {
		t.Errorf("%d other bytes came", len(all))
	}
}

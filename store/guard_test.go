package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/iotest"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

func TestGuard(t *testing.T) {
	f := func(name string, compressed bool, sent []byte, want []byte, wantErr error) {
		t.Helper()
		for _, r := range []io.Reader{bytes.NewReader(sent), iotest.OneByteReader(bytes.NewReader(sent)), iotest.DataErrReader(bytes.NewReader(sent))} {
			got, err := io.ReadAll(&guarded{Conn: readConn{r}, compressed: compressed})
			if !bytes.Equal(got, want) || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Errorf("%s: got %d bytes, %v, want %d, %v", name, len(got), err, len(want), wantErr)
			}
		}
	}
	short, long := wireMessage(wiremessage.OpMsg, 100), wireMessage(wiremessage.OpMsg, maxPromise+100)
	squeezed := wireMessage(wiremessage.OpCompressed, 40)
	binary.LittleEndian.PutUint32(squeezed[20:], 100)
	bomb := bytes.Clone(squeezed)
	binary.LittleEndian.PutUint32(bomb[20:], 1<<31-1)
	lie := func(length uint32) []byte {
		m := bytes.Clone(short)
		binary.LittleEndian.PutUint32(m, length)
		return m
	}

	f("nothing", false, nil, nil, nil)
	f("messages", false, bytes.Join([][]byte{short, long, short, short}, nil), bytes.Join([][]byte{short, long, short, short}, nil), nil)
	f("only a header", false, wireMessage(wiremessage.OpMsg, headerSize), wireMessage(wiremessage.OpMsg, headerSize), nil)
	f("compressed", true, bytes.Join([][]byte{squeezed, short}, nil), bytes.Join([][]byte{squeezed, short}, nil), nil)
	f("compressed unasked", false, squeezed, nil, errReplyCompressed)
	f("compressed too well", true, bomb, nil, errReplyCompressed)
	f("another protocol", false, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, errReplyLength)
	f("too long", false, lie(maxReply+1), nil, errReplyLength)
	f("negative", false, lie(1<<31+5), nil, errReplyLength)
	f("shorter than its header", false, lie(15), nil, errReplyLength)
	f("cut off in the header", false, short[:7], nil, io.ErrUnexpectedEOF)
	f("cut off, long", false, long[:len(long)-1], nil, io.ErrUnexpectedEOF)
}

// A promise of much costs little until it is kept.
func TestGuardMakesRoomAsBytesCome(t *testing.T) {
	promise := wireMessage(wiremessage.OpMsg, 64)
	binary.LittleEndian.PutUint32(promise, maxReply)
	g := &guarded{Conn: readConn{bytes.NewReader(promise)}}
	if _, err := g.Read(make([]byte, 4)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
	}
	if cap(g.long) > maxPromise {
		t.Errorf("got room for %d bytes after 64, want at most %d", cap(g.long), maxPromise)
	}
}

// A read that was too slow goes on where it was: the driver reads late replies to their ends before it uses the connection again.
func TestGuardAfterTimeout(t *testing.T) {
	for _, size := range []int{100, maxPromise + 100} {
		ours, theirs := net.Pipe()
		message := wireMessage(wiremessage.OpMsg, size)
		g := &guarded{Conn: ours}
		var got []byte
		for _, part := range [][]byte{message[:5], message[5:50], message[50:]} {
			if err := ours.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			sent := make(chan error, 1)
			go func() {
				_, err := theirs.Write(part) // returns when all of it has been read
				sent <- errors.Join(err, ours.SetReadDeadline(time.Now()))
			}()
			for len(got) < size {
				buffer := make([]byte, 1<<16)
				n, err := g.Read(buffer)
				got = append(got, buffer[:n]...)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, message) {
			t.Errorf("got %d bytes, want the %d that were sent", len(got), size)
		}
		ours.Close()
		theirs.Close()
	}
}

// FuzzGuard feeds bytes of a server: what passes is a prefix of them, and made of whole messages of possible lengths.
func FuzzGuard(f *testing.F) {
	f.Add(wireMessage(wiremessage.OpMsg, 20), false)
	f.Add(wireMessage(wiremessage.OpCompressed, 30), true)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, sent []byte, compressed bool) {
		got, _ := io.ReadAll(&guarded{Conn: readConn{bytes.NewReader(sent)}, compressed: compressed})
		if !bytes.HasPrefix(sent, got) {
			t.Fatal("what was read is not what was sent")
		}
		for rest := got; len(rest) > 0; {
			size := int(int32(binary.LittleEndian.Uint32(rest)))
			if size < headerSize || size > maxReply {
				t.Fatalf("a message of %d bytes passed", size)
			}
			if size > len(rest) { // what the connection did not bring any more
				break
			}
			rest = rest[size:]
		}
	})
}

func wireMessage(code wiremessage.OpCode, size int) []byte {
	m := wiremessage.AppendHeader(nil, int32(size), 1, 2, code)
	for len(m) < size {
		m = append(m, byte(len(m)))
	}
	return m
}

// readConn is a connection that only reads.
type readConn struct{ io.Reader }

func (readConn) Write([]byte) (int, error)        { return 0, errors.ErrUnsupported }
func (readConn) Close() error                     { return nil }
func (readConn) LocalAddr() net.Addr              { return nil }
func (readConn) RemoteAddr() net.Addr             { return nil }
func (readConn) SetDeadline(time.Time) error      { return nil }
func (readConn) SetReadDeadline(time.Time) error  { return nil }
func (readConn) SetWriteDeadline(time.Time) error { return nil }

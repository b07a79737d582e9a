package h3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quic-go/qpack"

	"metahub/gateway/message"
)

func block(t testing.TB, fields ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := qpack.NewEncoder(&b)
	for _, field := range fields {
		at := strings.Index(field[1:], ": ") + 1
		if err := encoder.WriteField(qpack.HeaderField{Name: field[:at], Value: field[at+2:]}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestParse(t *testing.T) {
	var h message.Head
	f := func(want error, fields ...string) {
		t.Helper()
		err := ParseHead(&h, block(t, fields...), 1000, 3)
		var breach *Error
		switch {
		case want == nil && err != nil, want == ErrTooLarge && err != ErrTooLarge, want == io.EOF && !errors.As(err, &breach):
			t.Errorf("%q: %v, want %v", fields, err, want)
		}
	}
	bad := io.EOF // stands for any breach
	f(nil, ":method: GET", ":scheme: https", ":authority: a.test", ":path: /")
	f(nil, ":method: GET", ":scheme: https", ":path: /", "host: a.test")
	f(nil, ":method: CONNECT", ":authority: a.test:1")
	f(bad, ":method: CONNECT", ":authority: a.test:1", ":path: /")
	f(bad, ":method: GET", ":scheme: https", ":path: /")
	f(bad, ":method: GET", ":scheme: https", ":authority: a.test", ":path: /", "host: b.test")
	f(ErrTooLarge, ":method: GET", ":scheme: https", ":authority: a.test", ":path: /", "a: b", "a: b", "a: b", "a: b")
	f(ErrTooLarge, ":method: GET", ":scheme: https", ":authority: a.test", ":path: /", "a: "+strings.Repeat("b", 1000))

	if err := ParseHead(&h, block(t, ":method: POST", ":scheme: https", ":path: /p", "host: a.test", "content-length: 7", "a: b"), 1000, 3); err != nil {
		t.Fatal(err)
	}
	if h.Method != "POST" || h.Path != "/p" || h.Authority != "a.test" || h.Length != 7 || len(h.Fields) != 1 || h.Fields[0].Value != "b" {
		t.Errorf("read %+v", h)
	}
}

// A body reads the same however its bytes come in.
func TestBodyInPieces(t *testing.T) {
	bytes := append(AppendDataFrame(nil, 5), "hello"...)
	bytes = append(AppendDataFrame(bytes, 1), '!')
	bytes = AppendHeadersFrame(bytes, block(t, "a: b"))
	var b Body
	b.Reset(bufio.NewReader(iotest.OneByteReader(strings.NewReader(string(bytes)))), 6)
	if got, err := io.ReadAll(&b); string(got) != "hello!" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
}

// A stream may tell of its end together with its last bytes.
func TestBodyEndsWithItsLastBytes(t *testing.T) {
	f := func(frame int, want error) {
		t.Helper()
		text := strings.Repeat("x", 1000)
		stream := iotest.DataErrReader(bytes.NewReader(append(AppendDataFrame(nil, frame), text...)))
		var b Body
		b.Reset(bufio.NewReaderSize(stream, 16), -1)
		got := make([]byte, 0, 2000)
		var err error
		for err == nil {
			var n int
			n, err = b.Read(got[len(got):cap(got)])
			got = got[:len(got)+n]
		}
		if len(got) != len(text) || err != want {
			t.Errorf("%d bytes, %v, want %v", len(got), err, want)
		}
	}
	f(1000, io.EOF)
	f(1001, errCut)
}

// FuzzStream reads any bytes as a request: no panic, no more body than bytes, and of a declared length all or an error.
func FuzzStream(f *testing.F) {
	head := AppendHeadersFrame(nil, block(f, ":method: POST", ":scheme: https", ":authority: a.test", ":path: /", "content-length: 5"))
	whole := append(AppendDataFrame(bytes.Clone(head), 5), "hello"...)
	f.Add(whole)
	f.Add(AppendHeadersFrame(bytes.Clone(whole), block(f, "x: y")))
	f.Add(head[:7])
	f.Add([]byte{0x21, 1, 1, 4, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReader(bytes.NewReader(stream))
		read, err := ReadHead(r, 1000, nil)
		if err != nil {
			return
		}
		var h message.Head
		if ParseHead(&h, read, 1000, 20) != nil {
			return
		}
		if h.Method == "" || h.Authority == "" || len(h.Fields) > 20 {
			t.Fatalf("accepted %+v", h)
		}
		var b Body
		b.Reset(r, h.Length)
		got, err := io.ReadAll(&b)
		if len(got) > len(stream) || err == nil && h.Length >= 0 && int64(len(got)) != h.Length {
			t.Fatalf("%d bytes of %d, %v", len(got), h.Length, err)
		}
	})
}

// FuzzControl reads any bytes as a control stream, which always ends in an error.
func FuzzControl(f *testing.F) {
	f.Add(AppendGoAway(AppendSettings(nil, 100)[1:], 8))
	f.Add([]byte{4, 2, 2, 0})
	f.Add([]byte("\x04\x00\x80\x0f\x07\x00\x04\x08u=1\x80\x0f\x07\x00\x05\x40\x08u=9"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		update := func(stream uint64, p message.Priority) error {
			if stream%4 != 0 || p.Urgency > 7 {
				t.Errorf("%d has priority %+v", stream, p)
			}
			return nil
		}
		if ReadControl(bufio.NewReader(bytes.NewReader(stream)), update) == nil {
			t.Fatal("a control stream must not end")
		}
	})
}

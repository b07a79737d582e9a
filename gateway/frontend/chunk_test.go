package frontend

import (
	"io"
	"strings"
	"testing"
)

// decode feeds raw in pieces of step bytes and returns the data, what follows the body, and the error that ended it: io.EOF is good.
func decode(raw string, step int) (data, rest string, err error) {
	var c chunks
	src := []byte(raw)
	for from := 0; from < len(src); {
		end := min(len(src), from+step)
		for from < end {
			piece, used, err := c.next(src[from:end], step)
			data, from = data+string(piece), from+used
			if err != nil {
				return data, raw[from:], err
			}
			if len(piece) == 0 {
				break
			}
		}
	}
	return data, "", io.ErrUnexpectedEOF
}

func TestChunks(t *testing.T) {
	f := func(raw, wantData, wantRest string) {
		t.Helper()
		for step := 1; step <= len(raw); step++ {
			data, rest, err := decode(raw, step)
			if data != wantData || rest != wantRest || err != io.EOF {
				t.Fatalf("in steps of %d: %q, rest %q, %v", step, data, rest, err)
			}
		}
		data, ok := chunks{}.whole(nil, []byte(raw))
		if ok != (wantRest == "" && strings.HasSuffix(raw, "0\r\n\r\n")) || ok && string(data) != wantData {
			t.Fatalf("whole: %q, %v", data, ok)
		}
	}

	f("0\r\n\r\n", "", "")
	f("5\r\nhello\r\n0\r\n\r\n", "hello", "")
	f("5\r\nhello\r\n0\r\n\r\nHTTP/1.1", "hello", "HTTP/1.1")
	f("A\r\n0123456789\r\n00b\r\nhello world\r\n000\r\n\r\n", "0123456789hello world", "")
	// Extensions, padding and trailers are dropped.
	f("5;a=b;c=\"d\"\r\nhello\r\n1  \r\n!\r\n0;last\r\nX: y\r\nZ: \r\n\r\n", "hello!", "")
	f("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "")
	f("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", "")
}

var malformedChunks = []string{
	"\r\nhello",
	"5\nhello\r\n0\r\n\r\n",
	"0x5\r\nhello\r\n0\r\n\r\n",
	"+5\r\nhello\r\n0\r\n\r\n",
	"-5\r\nhello\r\n0\r\n\r\n",
	"5\r\nhello0\r\n\r\n",
	"5\r\nhello\n0\r\n\r\n",
	"5\r\nhello!\r\n0\r\n\r\n",
	"5;a\nb\r\nhello\r\n0\r\n\r\n",
	"5;a\rb\r\nhello\r\n0\r\n\r\n",
	"5;\x00\r\nhello\r\n0\r\n\r\n",
	"5\r\rhello\r\n0\r\n\r\n",
	"10000000000000005\r\nhello\r\n0\r\n\r\n",
	"0\r\nX: y\n\r\n",
	"0\r\n\n",
	"5;" + strings.Repeat("x", maxHead+1) + "\r\n",
	"0\r\n" + strings.Repeat("X: y\r\n", maxHead/4+1) + "\r\n",
}

func TestChunksMalformed(t *testing.T) {
	for _, raw := range malformedChunks {
		if data, _, err := decode(raw, len(raw)); err == io.EOF || err == io.ErrUnexpectedEOF || data != "" && data != "hello" {
			t.Errorf("%.40q: %q, %v", raw, data, err)
		}
		if _, ok := (chunks{}).whole(nil, []byte(raw)); ok {
			t.Errorf("%.40q is taken as a whole body", raw)
		}
	}
}

// FuzzChunks checks that no body crashes the decoder and that it decodes the same in one piece and in many.
func FuzzChunks(f *testing.F) {
	for _, raw := range malformedChunks {
		f.Add([]byte(raw), uint8(3))
	}
	f.Add([]byte("5;x\r\nhello\r\n0\r\nX: y\r\n\r\nrest"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, step uint8) {
		data, rest, err := decode(string(raw), len(raw)+1)
		inSteps, restInSteps, errInSteps := decode(string(raw), int(step)+1)
		if data != inSteps || (err == io.EOF) != (errInSteps == io.EOF) || err == io.EOF && rest != restInSteps {
			t.Fatalf("in one piece %q %q %v, in steps %q %q %v", data, rest, err, inSteps, restInSteps, errInSteps)
		}
		if whole, ok := (chunks{}).whole(nil, raw); ok && (err != io.EOF || string(whole) != data || rest != "") {
			t.Fatalf("whole %q, decoded %q %q %v", whole, data, rest, err)
		}
	})
}

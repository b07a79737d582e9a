package cli

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestLinesAreThoseOfZap holds each line to the general encoder's: of requests as they come, and of all that is no such line.
func TestLinesAreThoseOfZap(t *testing.T) {
	encoder, err := newEncoder("json", false)
	if err != nil {
		t.Fatal(err)
	}
	quick, ok := encoder.(*lineEncoder)
	if !ok {
		t.Fatalf("%T encodes the log", encoder)
	}
	f := func(entry zapcore.Entry, fast bool, fields ...zapcore.Field) {
		t.Helper()
		want, err := quick.Encoder.EncodeEntry(entry, fields)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encoder.EncodeEntry(entry, fields)
		if err != nil || got.String() != want.String() {
			t.Errorf("a line became\n%s%v, want\n%s", got, err, want)
		}
		if fast {
			b := quick.encode(&entry, fields[0].Interface.(zapcore.ObjectMarshaler))
			if b == nil || b.String() != want.String() {
				t.Errorf("%s was not encoded as a line: %v", want, b)
			}
		}
	}
	entry := zapcore.Entry{Level: zap.InfoLevel, LoggerName: "access", Message: "request"}
	moment := time.Date(2026, 7, 1, 23, 59, 59, 0, time.FixedZone("", 2*3600))
	for range 2000 {
		entry.Time = moment.Add(time.Duration(rand.Int64N(int64(3 * time.Second))))
		span := time.Duration(rand.Int64N(1<<rand.IntN(40) + 1))
		f(entry, true, zap.Inline(shown{path: []byte("/"), took: span, n: int(span)}))
		f(entry, true, zap.Inline(shown{path: []byte("/"), took: span / 1e6 * 1e6, n: -int(span)}))
	}
	f(entry, true, zap.Inline(shown{took: -1, n: -1}))
	entry.Time = entry.Time.UTC()
	f(entry, true, zap.Inline(shown{}))

	for c := range 256 {
		plain := c >= ' ' && c <= '~' && c != '"' && c != '\\'
		f(entry, plain, zap.Inline(shown{path: []byte{'/', byte(c), 'x'}}))
		f(entry, plain, zap.Inline(shown{tenant: string(rune(c))}))
	}
	f(entry, false, zap.Inline(shown{tenant: "köln", path: []byte("/\xff")}))
	f(entry, false, zap.Inline(shown{more: []zap.Field{zap.String(`"`, "")}}))
	f(entry, true, zap.Inline(shown{path: []byte("/after")}))
	f(entry, false, zap.Inline(shown{more: []zap.Field{zap.Namespace("in"), zap.Bool("here", true)}}))
	f(entry, false, zap.Inline(shown{more: []zap.Field{zap.Namespace("in"), zap.Int("here", 1)}}))
	f(entry, true, zap.Inline(shown{path: []byte("/after")}))
	f(entry, false, zap.Inline(shown{err: errors.New("no object")}))

	f(entry, false)
	f(entry, false, zap.Int("status", 200))
	f(entry, false, zap.Inline(shown{}), zap.Int("status", 200))
	f(zapcore.Entry{Message: "x"}, false, zap.Inline(shown{}))
	entry.Stack = "here\nthere"
	f(entry, false, zap.Inline(shown{}))
	entry.Stack, entry.Caller = "", zapcore.EntryCaller{Defined: true, File: "f", Line: 1}
	f(entry, false, zap.Inline(shown{}))
}

// shown is a small line.
type shown struct {
	tenant string
	path   []byte
	took   time.Duration
	n      int
	more   []zap.Field
	err    error
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (s shown) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("tenant", s.tenant)
	e.AddByteString("path", s.path)
	e.AddDuration("duration", s.took)
	e.AddInt("status", s.n)
	for _, field := range s.more {
		field.AddTo(e)
	}
	e.AddInt64("bytes", int64(s.n))
	return s.err
}

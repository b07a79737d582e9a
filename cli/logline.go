package cli

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// lineEncoder is a JSON encoder that is fast with the line of a request, of which there are as many as of all else together are few. Such an
// entry has one inlined object of plain values. Whatever else there is, a sign that must be escaped among it, is left to the encoder that is
// embedded, whose lines are the same byte by byte.
type lineEncoder struct {
	zapcore.Encoder
	lines  sync.Pool // of *line
	second atomic.Pointer[second]
}

// newLineEncoder makes one beside general, which encodes times as ISO 8601 under "time", levels in lower case and durations in seconds.
func newLineEncoder(general zapcore.Encoder) *lineEncoder {
	return &lineEncoder{Encoder: general, lines: sync.Pool{New: func() any {
		return &line{MapObjectEncoder: zapcore.NewMapObjectEncoder()}
	}}}
}

// Clone implements zapcore.Encoder. A clone is made to be given fields.
func (e *lineEncoder) Clone() zapcore.Encoder { return e.Encoder.Clone() }

// EncodeEntry implements zapcore.Encoder.
func (e *lineEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	if len(fields) == 1 && fields[0].Type == zapcore.InlineMarshalerType && entry.LoggerName != "" && !entry.Time.IsZero() &&
		!entry.Caller.Defined && entry.Stack == "" {
		if b := e.encode(&entry, fields[0].Interface.(zapcore.ObjectMarshaler)); b != nil {
			return b, nil
		}
	}
	return e.Encoder.EncodeEntry(entry, fields)
}

// encode returns nil where the entry is not as plain as it looks.
func (e *lineEncoder) encode(entry *zapcore.Entry, of zapcore.ObjectMarshaler) *buffer.Buffer {
	l := e.lines.Get().(*line)
	b := buffers.Get()
	l.out, l.special = b, false
	b.AppendString(`{"level":"`)
	b.AppendString(entry.Level.String())
	b.AppendString(`","time":"`)
	e.appendTime(b, entry.Time)
	b.AppendByte('"')
	l.AddString("logger", entry.LoggerName)
	l.AddString("msg", entry.Message)
	err := of.MarshalLogObject(l)
	if err != nil || l.special || len(l.Fields) > 0 {
		b.Free()
		return nil // and l is not used again, for what its map holds
	}
	e.lines.Put(l)
	b.AppendString("}\n")
	return b
}

var buffers = buffer.NewPool()

// second is how a second is written, up to its fraction, and the zone behind that.
type second struct {
	unix         int64
	at           *time.Location
	before, zone string
}

// appendTime is zapcore.ISO8601TimeEncoder, with all but the milliseconds kept for a second.
func (e *lineEncoder) appendTime(b *buffer.Buffer, t time.Time) {
	s := e.second.Load()
	if s == nil || s.unix != t.Unix() || s.at != t.Location() {
		s = &second{t.Unix(), t.Location(), t.Format("2006-01-02T15:04:05."), t.Format("Z0700")}
		e.second.Store(s)
	}
	ms := t.Nanosecond() / 1e6
	b.AppendString(s.before)
	b.AppendByte(byte('0' + ms/100))
	b.AppendByte(byte('0' + ms/10%10))
	b.AppendByte(byte('0' + ms%10))
	b.AppendString(s.zone)
}

// line is an ObjectEncoder that writes plain values, and gathers others in its map.
type line struct {
	*zapcore.MapObjectEncoder
	out     *buffer.Buffer
	special bool // something must be escaped
}

func (l *line) addKey(key string) {
	l.special = l.special || !isPlain(key)
	l.out.AppendString(`,"`)
	l.out.AppendString(key)
	l.out.AppendString(`":`)
}

// AddString implements zapcore.ObjectEncoder.
func (l *line) AddString(key, value string) {
	l.special = l.special || !isPlain(value)
	l.addKey(key)
	l.out.AppendByte('"')
	l.out.AppendString(value)
	l.out.AppendByte('"')
}

// AddByteString implements zapcore.ObjectEncoder.
func (l *line) AddByteString(key string, value []byte) {
	l.special = l.special || !isPlain(value)
	l.addKey(key)
	l.out.AppendByte('"')
	l.out.AppendBytes(value)
	l.out.AppendByte('"')
}

// AddInt implements zapcore.ObjectEncoder.
func (l *line) AddInt(key string, value int) { l.AddInt64(key, int64(value)) }

// AddInt64 implements zapcore.ObjectEncoder.
func (l *line) AddInt64(key string, value int64) {
	l.addKey(key)
	l.out.AppendInt(value)
}

// AddDuration implements zapcore.ObjectEncoder: in seconds, as the shortest number that means the same float64. Below a second that is the
// decimal fraction itself, since no two of so few digits mean the same.
func (l *line) AddDuration(key string, value time.Duration) {
	l.addKey(key)
	if value <= 0 || value >= time.Second {
		l.out.AppendFloat(float64(value)/float64(time.Second), 64)
		return
	}
	var room [len("999999999")]byte
	digits := strconv.AppendInt(room[:0], int64(value), 10)
	l.out.AppendString("0.00000000"[:len("0.")+len(room)-len(digits)])
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	l.out.AppendBytes(digits)
}

// isPlain reports whether s stands in JSON as it is.
func isPlain[S string | []byte](s S) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

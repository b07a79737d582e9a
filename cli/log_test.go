package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestLogIsJSONAwayFromATerminal(t *testing.T) {
	var out output
	log, flush, err := newLogger(&out, "info", "auto")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("too small")
	log.Named("access").Info("request", zap.Int("status", 200))
	flush()
	var entry struct {
		Time, Level, Logger, Msg string
		Status                   int
	}
	if err := json.Unmarshal([]byte(out.String()), &entry); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	if entry.Level != "info" || entry.Logger != "access" || entry.Msg != "request" || entry.Status != 200 {
		t.Errorf("logged %+v", entry)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z0700", entry.Time); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreWrittenAtOnce(t *testing.T) {
	var out output
	log, flush, err := newLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	defer flush()
	log.With(zap.String("tenant", "a")).Info("first")
	log.With(zap.String("tenant", "a")).Error("second")
	if lines := strings.Count(out.String(), "\n"); lines != 2 {
		t.Errorf("%d lines after an error, want both:\n%s", lines, out.String())
	}
}

func TestLinesAreWrittenWithinASecondOrSo(t *testing.T) {
	var out output
	log, flush, err := newLogger(&out, "info", "console")
	if err != nil {
		t.Fatal(err)
	}
	defer flush()
	log.Info("only line")
	eventually(t, "the buffer to be flushed", func() error {
		if !strings.Contains(out.String(), "only line") {
			return errSaid
		}
		return nil
	})
}

// BenchmarkAccessLine is what a request's line costs the request.
func BenchmarkAccessLine(b *testing.B) {
	log, flush, err := newLogger(discard{}, "info", "json")
	if err != nil {
		b.Fatal(err)
	}
	defer flush()
	core := log.Core()
	entry := zapcore.Entry{Level: zap.InfoLevel, LoggerName: "access", Message: "request", Time: time.Now()}
	line := &shown{tenant: "anastasia", path: []byte("/api/settings"), took: time.Millisecond, n: 200}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		fields := []zap.Field{zap.Inline(line)}
		for pb.Next() {
			if err := core.Write(entry, fields); err != nil {
				b.Error(err)
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

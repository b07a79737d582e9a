package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger logs to w. The caller calls flush before the process ends.
//
// On a terminal a line appears as it is written; elsewhere lines are gathered for up to a second, because one write a request costs
// more than the request's whole logging, and errors are written at once together with all before them. Nothing is sampled away.
func newLogger(w io.Writer, level, format string) (log *zap.Logger, flush func(), err error) {
	least, err := zapcore.ParseLevel(level)
	if err != nil || least > zapcore.ErrorLevel {
		return nil, nil, usageError{fmt.Errorf("--log-level %q: choose debug, info, warn or error", level)}
	}
	terminal := isTerminal(w)
	encoder, err := newEncoder(format, terminal)
	if err != nil {
		return nil, nil, err
	}
	// The wrapper hides Sync: fsync of a log file for each error would hold up requests.
	sink := zapcore.AddSync(struct{ io.Writer }{w})
	if terminal {
		return zap.New(zapcore.NewCore(encoder, zapcore.Lock(sink), least)), func() {}, nil
	}
	buffered := &zapcore.BufferedWriteSyncer{WS: sink, Size: 256 << 10, FlushInterval: time.Second}
	log = zap.New(&prompt{zapcore.NewCore(encoder, buffered, least)})
	return log, func() { _ = buffered.Stop() }, nil
}

func newEncoder(format string, terminal bool) (zapcore.Encoder, error) {
	config := zap.NewProductionEncoderConfig()
	config.TimeKey = "time"
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	if format == "auto" {
		format = "json"
		if terminal {
			format = "console"
		}
	}
	switch format {
	case "json":
		return newLineEncoder(zapcore.NewJSONEncoder(config)), nil
	case "console":
		if terminal {
			config.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		return zapcore.NewConsoleEncoder(config), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q: choose auto, json or console", format)}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// prompt is a Core whose errors do not wait in the buffer. A line would cost an allocation if it were no pointer.
type prompt struct{ zapcore.Core }

// With implements zapcore.Core.
func (p *prompt) With(fields []zapcore.Field) zapcore.Core { return &prompt{p.Core.With(fields)} }

// Check implements zapcore.Core.
func (p *prompt) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(entry.Level) {
		return checked.AddCore(entry, p)
	}
	return checked
}

// Write implements zapcore.Core.
func (p *prompt) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if err := p.Core.Write(entry, fields); err != nil || entry.Level < zapcore.ErrorLevel {
		return err
	}
	return p.Sync()
}

package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
	"go.uber.org/zap"
)

const (
	lockFile    = "lock"    // held by the process that runs the server
	addressFile = "address" // where that server listens, "unix /path" or "tcp 127.0.0.1:port"

	// maxSocketPath is the longest path of a Unix socket on every system (sun_path has 104 bytes on BSD, 108 on Linux).
	maxSocketPath = 103
)

// embedded is a FerretDB server with SQLite files in a folder, one a database. One process at a time runs it, the one that holds the
// lock; others on the same folder attach to its socket, and the first of them to call start after it is gone takes its place.
//
// Documents that were acknowledged survive the death of the process: SQLite commits to its write-ahead log, synchronized to the disk,
// before FerretDB answers.
type embedded struct {
	folder string
	logger *zap.Logger

	mu      sync.Mutex
	lock    *os.File           // nil while another process runs the server
	sockets string             // a temporary folder to be removed, or empty
	stopRun context.CancelFunc // ends the server
	stopped chan struct{}
}

// ferretdbNew is for processes with several stores, such as tests: ferretdb.New writes a variable of its package.
var ferretdbNew sync.Mutex

func newEmbedded(folder string, logger *zap.Logger) *embedded {
	return &embedded{folder: folder, logger: logger}
}

// start runs the server unless it runs already, here or in another process.
func (e *embedded) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lock != nil {
		return nil
	}
	if strings.ContainsAny(e.folder, "?#%*[") {
		return fmt.Errorf(`embedded database: the folder %q must not have any of ? # %% * [ in its name: choose another data folder`, e.folder)
	}
	if err := os.MkdirAll(e.folder, 0o700); err != nil {
		return fmt.Errorf("embedded database: %w", err)
	}
	lock, err := acquireLock(filepath.Join(e.folder, lockFile))
	if errors.Is(err, errLocked) {
		e.logger.Debug("another process runs the embedded database, attaching to it")
		return nil
	}
	if err != nil {
		return fmt.Errorf("embedded database: locking %q: %w", e.folder, err)
	}
	if err := e.run(); err != nil {
		e.removeSockets()
		lock.Close()
		return fmt.Errorf("embedded database in %q: %w", e.folder, err)
	}
	e.lock = lock
	return nil
}

func (e *embedded) run() error {
	listener, err := e.listener()
	if err != nil {
		return err
	}
	ferretdbNew.Lock()
	defer ferretdbNew.Unlock()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  listener,
		Logger:    slog.New(quietHandler{e.logger}),
		Handler:   "sqlite",
		SQLiteURL: sqliteURL(e.folder),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Run(ctx) // its error is always nil
	}()
	if err := writeAddress(filepath.Join(e.folder, addressFile), listener, server); err != nil {
		stop()
		<-stopped
		return err
	}
	e.stopRun, e.stopped = stop, stopped
	return nil
}

// listener chooses a Unix socket that only this user can reach or, on Windows, the loopback interface, which every local user can.
func (e *embedded) listener() (ferretdb.ListenerConfig, error) {
	if runtime.GOOS == "windows" {
		return ferretdb.ListenerConfig{TCP: "127.0.0.1:0"}, nil
	}
	folder, err := e.socketFolder()
	if err != nil {
		return ferretdb.ListenerConfig{}, err
	}
	socket := filepath.Join(folder, "mongodb.sock")
	// We hold the lock, so whoever left this socket is dead.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return ferretdb.ListenerConfig{}, err
	}
	return ferretdb.ListenerConfig{Unix: socket}, nil
}

func (e *embedded) socketFolder() (string, error) {
	folder := filepath.Join(e.folder, "run")
	if len(filepath.Join(folder, "mongodb.sock")) <= maxSocketPath {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
		return folder, os.Chmod(folder, 0o700)
	}
	folder, err := os.MkdirTemp("", "metahub-") // 0700
	e.sockets = folder
	return folder, err
}

func (e *embedded) removeSockets() {
	if e.sockets != "" {
		os.RemoveAll(e.sockets)
		e.sockets = ""
	}
}

// sqliteURL names the folder and the settings of its files; busy_timeout comes first because switching to the log may have to wait.
func sqliteURL(folder string) string {
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)"}}
	location := url.URL{Scheme: "file", Path: filepath.ToSlash(folder) + "/", OmitHost: true, RawQuery: query.Encode()}
	return location.String()
}

// writeAddress tells other processes where the server listens.
func writeAddress(path string, listener ferretdb.ListenerConfig, server *ferretdb.FerretDB) error {
	address := "unix " + listener.Unix
	if listener.TCP != "" {
		uri, err := url.Parse(server.MongoDBURI())
		if err != nil {
			return err
		}
		address = "tcp " + uri.Host
	}
	beside := path + ".new"
	if err := os.WriteFile(beside, []byte(address), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// DialContext implements options.ContextDialer: whatever the address, it connects to the server that runs now.
func (e *embedded) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	content, err := os.ReadFile(filepath.Join(e.folder, addressFile))
	if err != nil {
		return nil, err
	}
	network, address, ok := strings.Cut(string(content), " ")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("the file %q is damaged: stop MetaHub and remove it", filepath.Join(e.folder, addressFile))
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

// stop ends the server if it runs here and waits until its files are closed.
func (e *embedded) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lock == nil {
		return
	}
	os.Remove(filepath.Join(e.folder, addressFile))
	e.stopRun()
	<-e.stopped
	e.removeSockets()
	e.lock.Close() // which unlocks it
	e.lock = nil
}

// quietHandler passes on what FerretDB logs as an error, and only its message: the rest is chatter, and attributes may hold documents.
type quietHandler struct{ logger *zap.Logger }

// Enabled implements slog.Handler.
func (quietHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError
}

// Handle implements slog.Handler.
func (h quietHandler) Handle(_ context.Context, record slog.Record) error {
	message, _, _ := strings.Cut(record.Message, "\n")
	if strings.HasPrefix(message, "Response ") {
		return nil // a refused command, which its caller reports
	}
	h.logger.Error("ferretdb: " + message)
	return nil
}

// WithAttrs implements slog.Handler.
func (h quietHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h quietHandler) WithGroup(string) slog.Handler { return h }

package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxLockFile bounds what is read of a lock, in bytes.
const maxLockFile = 2048

// lockFile is what the file of a held lock says. Its first two fields are certmagic's, which reads and writes such files too.
type lockFile struct {
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`

	Token    int64  `json:"token,omitempty"`
	Renewals int64  `json:"renewals,omitempty"`
	Owner    string `json:"owner,omitempty"`
	// Holder is for people.
	Holder string `json:"holder,omitempty"`
}

// errTornLock is what a lock file is that no holder writes.
var errTornLock = errors.New("the lock file is empty or damaged")

// parseLockFile reads a lock file whole; an error wraps errTornLock.
func parseLockFile(text []byte) (lockFile, error) {
	var l lockFile
	if len(text) > maxLockFile {
		return lockFile{}, fmt.Errorf("%w: it is longer than %d bytes", errTornLock, maxLockFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&l); err != nil {
		return lockFile{}, fmt.Errorf("%w: %w", errTornLock, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return lockFile{}, fmt.Errorf("%w: something follows its end", errTornLock)
	}
	if l.Created.IsZero() || l.Token < 0 {
		return lockFile{}, fmt.Errorf("%w: it does not say since when or which", errTornLock)
	}
	return l, nil
}

func (l lockFile) format() ([]byte, error) {
	text, err := json.Marshal(l)
	return append(text, '\n'), err
}

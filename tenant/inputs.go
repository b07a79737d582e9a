package tenant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inputs reads the files of one load and remembers a stamp of each, also of those that were not there, so that any later change can
// be told from the disk alone. It is not for concurrent use.
type inputs struct {
	stamps map[input]stamp
}

type input struct {
	kind inputKind
	path string
}

type inputKind byte

const (
	byContent    inputKind = iota // YAML: few and decisive, so compared by hash
	byAttributes                  // .env files, secrets, folders: up to one a tenant, so compared by size and time
	byPattern                     // the files that a pattern matches
)

type stamp [sha256.Size]byte

func newInputs() *inputs { return &inputs{stamps: map[input]stamp{}} }

// content reads a YAML file.
func (in *inputs) content(path string) ([]byte, error) {
	data, err := readRegular(path, maxFileSize)
	if err != nil {
		in.stamps[input{byContent, path}] = errorStamp(err)
		return nil, err
	}
	in.stamps[input{byContent, path}] = sha256.Sum256(data)
	return data, nil
}

// small reads a file of at most limit bytes: a secret, or an .env file.
func (in *inputs) small(path string, limit int64) ([]byte, error) {
	in.watch(path)
	return readRegular(path, limit)
}

// watch makes the coming, going and changing of a file or folder count as a change.
func (in *inputs) watch(path string) {
	in.stamps[input{byAttributes, path}] = attributesStamp(path)
}

// glob returns the files that match, sorted.
func (in *inputs) glob(pattern string) ([]string, error) {
	paths, err := filepath.Glob(pattern)
	in.stamps[input{byPattern, pattern}] = patternStamp(paths)
	return paths, err
}

// changed reports whether the disk holds anything else than what was read.
func (in *inputs) changed() bool { return !maps.Equal(in.stamps, in.now()) }

// now takes all stamps afresh.
func (in *inputs) now() map[input]stamp {
	stamps := make(map[input]stamp, len(in.stamps))
	for i := range in.stamps {
		switch i.kind {
		case byContent:
			stamps[i] = contentStamp(i.path)
		case byAttributes:
			stamps[i] = attributesStamp(i.path)
		case byPattern:
			paths, _ := filepath.Glob(i.path)
			stamps[i] = patternStamp(paths)
		}
	}
	return stamps
}

// folders returns where the inputs are, for YAML files also behind symbolic links, sorted.
func (in *inputs) folders() []string {
	folders := map[string]struct{}{}
	for name := range in.names() {
		folders[fixedFolder(name)] = struct{}{}
	}
	return slices.Sorted(maps.Keys(folders))
}

// names returns the paths of the inputs, for YAML files also behind symbolic links.
func (in *inputs) names() map[string]struct{} {
	names := make(map[string]struct{}, len(in.stamps))
	for i := range in.stamps {
		names[filepath.Clean(i.path)] = struct{}{}
		if i.kind != byContent {
			continue
		}
		if target, err := filepath.EvalSymlinks(i.path); err == nil {
			names[target] = struct{}{}
		}
	}
	return names
}

// fixedFolder is the deepest folder of a path or pattern that holds no wildcard.
func fixedFolder(path string) string {
	folder := filepath.Dir(path)
	for strings.ContainsAny(folder, "*?[") {
		folder = filepath.Dir(folder)
	}
	return folder
}

var (
	errNotThere   = errors.New("is not there: make the file or correct the path")
	errNotAllowed = errors.New("cannot be read by the user that metahub runs as: give that user the right to")
	errNotRegular = errors.New("is not a regular file: name one")
	errTooLarge   = errors.New("is too large: 64 MiB is the most for YAML, 64 KiB for a secret or an .env file")
)

// readRegular reads a whole file. Its errors say what is wrong without the path, and continue a sentence that begins with it.
func readRegular(path string, limit int64) ([]byte, error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var data bytes.Buffer
	data.Grow(int(min(size, limit)) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, readError(err)
	}
	if int64(data.Len()) > limit {
		return nil, errTooLarge
	}
	return data.Bytes(), nil
}

func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path) // before opening: to open a FIFO waits for a writer
	if err != nil {
		return nil, 0, readError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, readError(err)
	}
	return file, info.Size(), nil
}

func readError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNotThere
	case errors.Is(err, fs.ErrPermission):
		return errNotAllowed
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// contentStamp hashes a file as it is now, without holding it in memory.
func contentStamp(path string) (s stamp) {
	file, _, err := openRegular(path)
	if err != nil {
		return errorStamp(err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return errorStamp(readError(err))
	}
	if size > maxFileSize {
		return errorStamp(errTooLarge)
	}
	hash.Sum(s[:0])
	return s
}

func errorStamp(err error) stamp { return sha256.Sum256([]byte("error: " + err.Error())) }

func attributesStamp(path string) (s stamp) {
	info, err := os.Stat(path)
	if err != nil {
		return s
	}
	binary.BigEndian.PutUint32(s[0:], uint32(info.Mode()))
	if info.Mode().IsRegular() { // a folder's time changes with every file in it
		binary.BigEndian.PutUint64(s[4:], uint64(info.Size()))
		binary.BigEndian.PutUint64(s[12:], uint64(info.ModTime().UnixNano()))
	}
	return s
}

func patternStamp(paths []string) stamp {
	return sha256.Sum256([]byte(strings.Join(paths, "\x00")))
}

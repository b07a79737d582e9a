// Package upload keeps files that belong to tenants' documents in a folder.
//
//	files, err := upload.Open("data/uploads")
//	staged, err := files.Stage("ensotek", "product", part, 1<<30) // a temporary file, synced, its type known by its content
//	err = staged.Commit(id)                                       // under its last name: one rename
//	staged.Keep()                                                 // its document is written; else staged.Discard()
//	file, err := files.Open("ensotek", "product", staged.Name(id))
//	err = files.Remove("ensotek", "product", staged.Name(id))
//
// A file is <tenant>/<resource>/<id>-<random>.<ext>, where id is that of the document that it belongs to, so that nothing but this
// document takes it along when it goes. Names of clients are not used at all. All access is through an os.Root: no name and no link leads
// out of the folder. The package knows nothing of requests or databases, and of a picture it reads the head alone.
package upload

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// MaxFile is the largest file in bytes.
const MaxFile = 10 << 20

// The refusals of Stage. They complete a sentence that begins with the field.
var (
	ErrType  = errors.New("must be a JPEG, PNG, GIF, WebP, AVIF or PDF file: its content is none of these")
	ErrSize  = errors.New("must be a file of at most 10 MiB")
	ErrQuota = errors.New("must fit: the tenant's files have reached their limit. Remove some, or raise \"uploads\"")
)

const (
	temporary = ".new-" // begins the names of files that are still written
	// abandoned is the age at which an upload's process is taken for dead: another gateway may be writing in the same folder, and a form of many
	// files takes hours to come over a slow line.
	abandoned = 24 * time.Hour
	// recount is how long what a tenant uses is counted from memory alone: other gateways write too.
	recount = 10 * time.Minute
)

// Files is a folder of tenants' files. Its methods may be called at once from any number of goroutines, and several processes may share
// the folder.
type Files struct {
	root  *os.Root
	mu    sync.Mutex
	usage map[string]*usage // by tenant
	now   func() time.Time
}

// Open makes the folder where it is not there, and removes what processes that ended while they wrote have left in it.
func Open(folder string) (*Files, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	f := &Files{root: root, usage: map[string]*usage{}, now: time.Now}
	if err := f.clean(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

// Close gives the folder back. No other method may be called afterwards.
func (f *Files) Close() error { return f.root.Close() }

func (f *Files) clean() error {
	return fs.WalkDir(f.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), temporary) {
			return err
		}
		info, err := entry.Info()
		if err == nil && f.now().Sub(info.ModTime()) > abandoned {
			err = f.root.Remove(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process cleans too
		}
		return err
	})
}

// folderName is the form of the names of folders: those of tenants and models.
var folderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func validFolder(name string) bool { return folderName.MatchString(name) }

// fileName is the form of a file's name.
var fileName = regexp.MustCompile(`^[0-9a-f]{24}-[0-9a-f]{32}\.[a-z]{3,4}$`)

// ValidName reports whether a name can be that of a file.
func ValidName(name string) bool { return fileName.MatchString(name) && TypeOf(name) != "" }

// Belongs reports whether a file belongs to the document with an id, in hexadecimal digits.
func Belongs(name, id string) bool { return ValidName(name) && strings.HasPrefix(name, id+"-") }

// Open returns a file of a tenant and its size in bytes. Its error is fs.ErrNotExist where there is none.
func (f *Files) Open(tenant, resource, name string) (*os.File, int64, error) {
	if !validFolder(tenant) || !validFolder(resource) || !ValidName(name) {
		return nil, 0, fs.ErrNotExist
	}
	file, err := f.root.Open(path.Join(tenant, resource, name))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Remove removes a file of a tenant. One that is not there is removed already.
func (f *Files) Remove(tenant, resource, name string) error {
	if !validFolder(tenant) || !validFolder(resource) || !ValidName(name) {
		return nil
	}
	at := path.Join(tenant, resource, name)
	info, err := f.root.Lstat(at)
	if err == nil {
		err = f.root.Remove(at)
	}
	if err == nil {
		f.release(tenant, info.Size())
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return f.Settle(tenant, resource, name)
	}
	return err
}

// syncFolder makes renames in a folder last.
func (f *Files) syncFolder(name string) error {
	folder, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

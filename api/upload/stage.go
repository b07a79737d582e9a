package upload

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Staged is a file on its way. It ends by Discard, which leaves alone what was committed and kept or left. It is one goroutine's.
type Staged struct {
	files            *Files
	tenant, resource string
	at               string // its name in the resource's folder, or empty once it is gone
	random, ext      string
	size             int64
	kept             bool
}

// Stage writes a file of a tenant under a temporary name. quota is how many bytes all of the tenant's files may take. Its error is ErrType,
// ErrSize or ErrQuota, what reading gave, or the folder's.
func (f *Files) Stage(tenant, resource string, from io.Reader, quota int64) (_ *Staged, err error) {
	if !validFolder(tenant) || !validFolder(resource) {
		return nil, fs.ErrInvalid
	}
	s := &Staged{files: f, tenant: tenant, resource: resource, random: random()}
	if err := f.root.MkdirAll(path.Join(tenant, resource), 0o700); err != nil {
		return nil, err
	}
	used, err := f.usageOf(tenant)
	if err != nil {
		return nil, err
	}
	s.at = temporary + s.random
	file, err := f.root.OpenFile(s.path(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, s.Discard())
		}
	}()
	if err := s.fill(file, from, used, quota); err != nil {
		return nil, err
	}
	head := make([]byte, min(headSize, s.size))
	if _, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if s.ext = extension(head, s.size); s.ext == "" {
		return nil, ErrType
	}
	return s, file.Sync()
}

// fill writes the content. What is written counts at once, so that uploads at the same time do not pass the quota together.
func (s *Staged) fill(file io.Writer, from io.Reader, used *usage, quota int64) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if s.size+int64(n) > MaxFile {
			return ErrSize
		}
		if !used.reserve(int64(n), quota) {
			return ErrQuota
		}
		s.size += int64(n)
		if _, err := file.Write(buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return hex.EncodeToString(b[:])
}

func (s *Staged) path() string { return path.Join(s.tenant, s.resource, s.at) }

// Name is what the file is called once it is committed for the document with an id, in 24 hexadecimal digits.
func (s *Staged) Name(id string) string { return id + "-" + s.random + s.ext }

// Document is the id of the document for which the file was committed last; ok is false where it was not.
func (s *Staged) Document() (id string, ok bool) {
	id, _, ok = strings.Cut(s.at, "-")
	return id, ok && ValidName(s.at)
}

// Commit gives the file its name for the document with an id. It may be called again, also with another id.
func (s *Staged) Commit(id string) error {
	name := s.Name(id)
	if s.at == name {
		return nil
	}
	if s.at == "" || !ValidName(name) {
		return fs.ErrInvalid
	}
	before := s.at
	if err := s.files.mark(s.tenant, s.resource, name); err != nil {
		return err
	}
	if err := s.files.root.Rename(s.path(), path.Join(s.tenant, s.resource, name)); err != nil {
		return errors.Join(err, s.files.Settle(s.tenant, s.resource, name))
	}
	s.at = name
	return errors.Join(s.files.syncFolder(path.Join(s.tenant, s.resource)), s.files.Settle(s.tenant, s.resource, before))
}

// Keep ends the file's way: its document is written.
func (s *Staged) Keep() error {
	s.kept = true
	return s.files.Settle(s.tenant, s.resource, s.at)
}

// Leave keeps the file without a word on its document: it is looked at again a day later, by TakeUnsettled.
func (s *Staged) Leave() { s.kept = true }

// Discard removes a file that is not kept.
func (s *Staged) Discard() error {
	if s.kept || s.at == "" {
		return nil
	}
	err := s.files.root.Remove(s.path())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		name := s.at
		s.at = ""
		s.files.release(s.tenant, s.size)
		return s.files.Settle(s.tenant, s.resource, name)
	}
	return err
}

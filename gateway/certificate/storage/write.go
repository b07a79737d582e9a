package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// forgotten is the age at which a file beside is one that a killed process left.
const forgotten = time.Hour

// write puts a value on the disk beside its place, and lets publish decide whether it gets there.
func (f *folder) write(ctx context.Context, key string, value []byte, publish func(rename func() error) error) error {
	if err := errors.Join(checkKey(key), checkSize(key, value), ctx.Err()); err != nil {
		return err
	}
	place := f.filename(key)
	beside, err := f.writeBeside(place, value)
	if err != nil {
		return fmt.Errorf("storing %q: make the certificate folder writable for this user and see that its disk is not full: %w", key, err)
	}
	if err := publish(func() error { return os.Rename(beside, place) }); err != nil {
		os.Remove(beside)
		return fmt.Errorf("storing %q: %w", key, err)
	}
	if err := syncFolder(filepath.Dir(place)); err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	return nil
}

func (f *folder) writeBeside(place string, value []byte) (string, error) {
	file, err := f.createBeside(filepath.Dir(place))
	if err != nil {
		return "", err
	}
	_, err = file.Write(value)
	if err == nil {
		err = inherit(file.Name())
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// createBeside makes a file for this user only, and the folder for it. Another process may delete an empty folder just then, so it tries twice.
func (f *folder) createBeside(parent string) (*os.File, error) {
	path := filepath.Join(parent, besidePrefix+randomID())
	for range 2 {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
		if err := makeFolders(parent); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// makeFolders is os.MkdirAll whose result survives a crash of the machine.
func makeFolders(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(path)
		if parent == path {
			return err
		}
		if err := makeFolders(parent); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := inherit(path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// absent reports whether an error says that a path, or the folder that it should be in, is not there.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// asAbsent makes fs.ErrNotExist of what a system says of a path that leads through a file.
func asAbsent(err error) error {
	if absent(err) {
		return fs.ErrNotExist
	}
	return err
}

// removeForgotten deletes what a killed process left while it was writing.
func removeForgotten(parent string, entry fs.DirEntry) {
	if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > forgotten {
		os.Remove(filepath.Join(parent, entry.Name()))
	}
}

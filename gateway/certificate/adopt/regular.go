package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFile bounds a PEM file in bytes.
const maxFile = 1 << 20

// openRegular follows links and opens regular files only. It looks before it opens, since to open a device may do something. The fault is
// a sentence without its subject.
func openRegular(path string) (file *os.File, size int64, fault string) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, notRegular
	}
	if file, fault = openFile(path); fault != "" {
		return nil, 0, fault
	}
	return file, info.Size(), ""
}

// openFile does not wait for the writer of what has become a named pipe since it was looked at.
func openFile(path string) (file *os.File, fault string) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, notRegular
	}
	return file, ""
}

const notRegular = "is not a regular file: put the PEM text there"

// readRegular reads a PEM file whole.
func readRegular(path string) (text []byte, fault string) {
	file, size, fault := openRegular(path)
	if fault != "" {
		return nil, fault
	}
	defer file.Close()
	if size > maxFile {
		return nil, fmt.Sprintf("is larger than %d bytes: put only the PEM text there", maxFile)
	}
	content := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := content.ReadFrom(io.LimitReader(file, maxFile)); err != nil {
		return nil, unreadable(err)
	}
	return content.Bytes(), ""
}

// unreadable tells the kind of an error without the path, which is told beside it.
func unreadable(err error) string {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		err = inPath.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "cannot be read: run this as a user who may, or give this one the permission"
	case errors.Is(err, fs.ErrNotExist):
		return "is not there, or is a link that leads nowhere: check the path"
	}
	return fmt.Sprintf("cannot be read, check the disk and the links in the path: %v", err)
}

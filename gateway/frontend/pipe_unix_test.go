//go:build unix

package frontend

import "syscall"

// makePipe puts a named pipe into a folder, where there are any.
func makePipe(path string) error { return syscall.Mkfifo(path, 0o644) }

//go:build !linux

package frontend

import "syscall"

// isClosed cannot tell here; a write that fails will.
func isClosed(syscall.RawConn) bool { return false }

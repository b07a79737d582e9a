//go:build unix

package gateway

import "syscall"

// openFiles is how many files and sockets this process may have open at once, or 0 where nobody says. Go raises it to the most that the
// system allows.
func openFiles() int {
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err != nil {
		return 0
	}
	return int(min(most.Cur, 1<<30))
}

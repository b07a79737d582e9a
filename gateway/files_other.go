//go:build !unix

package gateway

// openFiles is 0: nobody says how many files and sockets this process may have open.
func openFiles() int { return 0 }

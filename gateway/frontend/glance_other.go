//go:build !unix

package frontend

// look cannot tell, so that every piece is sent at once.
func (c *conn) look() bool { return false }

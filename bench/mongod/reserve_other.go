//go:build !unix

package mongod

// reserve does nothing here: somebody else may get the port of a server that refuses.
func reserve(string) (release func()) { return func() {} }

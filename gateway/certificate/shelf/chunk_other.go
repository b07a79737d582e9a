//go:build !unix || solaris || illumos || aix

package shelf

func newChunk() *chunk { return heapChunk() }

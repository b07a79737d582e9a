//go:build unix && !solaris && !illumos && !aix

package shelf

import "syscall"

// newChunk takes memory from the system itself. In Go's heap a hundred megabytes of certificates would let the garbage grow as large
// before it is collected.
func newChunk() *chunk {
	memory, err := syscall.Mmap(-1, 0, chunkSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil { // the system's limit on the number of mappings, at worst
		return heapChunk()
	}
	return &chunk{memory: memory, free: func() { syscall.Munmap(memory) }}
}

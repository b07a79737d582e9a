package frontend

import (
	"io/fs"
	"time"
)

// version is what the file system says of a file without a byte of it being read. Two files of one version have the same content, unless
// one is young.
type version struct {
	size     int64
	modified int64 // nanoseconds since 1970
	change   change
}

// settling is longer than the tick of any file system's clock. What changes again within one tick keeps its version.
const settling = 2 * time.Second

func versionOf(info fs.FileInfo) version {
	return version{size: info.Size(), modified: info.ModTime().UnixNano(), change: changeOf(info)}
}

// isYoung reports whether the file may change once more and keep its version.
func (v version) isYoung(now time.Time) bool {
	return now.UnixNano()-max(v.modified, v.change.time) < int64(settling)
}

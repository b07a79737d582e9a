package frontend

import (
	"io/fs"
	"syscall"
)

// change tells versions of a file apart that have one length and one date, as files of container images and of rsync --times may. No
// program can set it.
type change struct {
	inode uint64
	time  int64 // of the last change of content or name, in nanoseconds since 1970
}

func changeOf(info fs.FileInfo) change {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return change{}
	}
	return change{inode: stat.Ino, time: stat.Ctim.Nano()}
}

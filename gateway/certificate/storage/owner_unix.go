//go:build unix

package storage

import (
	"os"
	"path/filepath"
	"syscall"
)

// inherit gives what root has just made to whoever owns the folder that it is in: an administrator who adopts certificates as root must
// not lock out the gateway, which runs as another user.
func inherit(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

//go:build unix

package storage

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root stores belongs to the owner of the folder, so that the gateway can read and replace it.
func TestRootStoresForTheFoldersOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	folder := t.TempDir()
	const user = 65532
	if err := os.Chown(folder, user, user); err != nil {
		t.Fatal(err)
	}
	s := openFolder(t, folder)
	if err := s.Store(t.Context(), "certificates/ensotek.de.pem", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"certificates", "certificates/ensotek.de.pem"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != user || owner.Gid != user {
			t.Errorf("%s belongs to %d:%d", name, owner.Uid, owner.Gid)
		}
	}
}

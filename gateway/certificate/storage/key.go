package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/caddyserver/certmagic"
)

const (
	// locksFolder is where a folder keeps its locks, as certmagic does. No key lies in it.
	locksFolder = "locks"
	// besidePrefix begins the names of files that are being written. No key has it.
	besidePrefix = ".metahub-"
	maxKey       = 1024
	// maxLockName leaves room for an ending within the 255 bytes that file systems allow a name.
	maxLockName = 200
)

// checkKey refuses what is not the key of a value: a path that is empty, absolute, climbs out, or has a spelling that one operating
// system reads differently from another.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." || len(key) > maxKey || strings.ContainsAny(key, "\\\x00") || !filepath.IsLocal(filepath.FromSlash(key)) {
		return fmt.Errorf("%q is not a key of the certificate storage: write a relative path like %q", key, "certificates/example.com.pem")
	}
	for part := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(part, besidePrefix) {
			return fmt.Errorf("%q is not a key of the certificate storage: names with %q in front are its own", key, besidePrefix)
		}
	}
	if within(key, locksFolder) {
		return fmt.Errorf("%q is not a key of the certificate storage: the folder %q is its own", key, locksFolder)
	}
	return nil
}

// checkPrefix is checkKey for a folder; the empty prefix is the folder of all keys.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkKey(prefix)
}

// within reports whether key is folder or lies in it.
func within(key, folder string) bool {
	rest, ok := strings.CutPrefix(key, folder)
	return ok && (rest == "" || rest[0] == '/')
}

// below joins a folder, perhaps the empty one, and a name.
func below(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// lockName is what a lock is called where it is kept: certmagic's spelling, cut to a length that every file system takes.
func lockName(name string) (string, error) {
	safe := certmagic.StorageKeys.Safe(name)
	if path.Clean("/"+safe) == "/" {
		return "", fmt.Errorf("%q cannot be the name of a lock: it has no letter or digit", name)
	}
	if len(safe) > maxLockName {
		sum := sha256.Sum256([]byte(safe))
		safe = safe[:maxLockName-33] + "-" + hex.EncodeToString(sum[:16])
	}
	return safe, nil
}

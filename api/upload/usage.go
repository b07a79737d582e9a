package upload

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"
)

// usage is what a tenant's files take. Its lock is held while the folder is counted, which only uploads of this tenant wait for.
type usage struct {
	mu sync.Mutex
	tally
	counted time.Time
}

// tally is what a count finds.
type tally struct {
	bytes     int64
	unsettled []Unsettled // that nobody has taken yet
}

// usageOf counts a tenant's files where that has not been done, or was done long ago.
func (f *Files) usageOf(tenant string) (*usage, error) {
	f.mu.Lock()
	u := f.usage[tenant]
	if u == nil {
		u = &usage{}
		f.usage[tenant] = u
	}
	f.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.counted.IsZero() && f.now().Sub(u.counted) < recount {
		return u, nil
	}
	found, err := f.count(tenant)
	if err == nil {
		u.tally, u.counted = found, f.now()
	}
	return u, err
}

// maxUnsettled bounds how many files are found at a time; the rest is found at the next.
const maxUnsettled = 100

// count adds up a tenant's files, those that are still written included. It removes what processes that ended have left half written.
func (f *Files) count(tenant string) (found tally, err error) {
	err = fs.WalkDir(f.root.FS(), tenant, func(at string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				err = f.see(&found, at, info)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has gone in the meantime
		}
		return err
	})
	return found, err
}

func (f *Files) see(found *tally, at string, info fs.FileInfo) error {
	old := f.now().Sub(info.ModTime()) > abandoned
	if old && strings.HasPrefix(info.Name(), temporary) {
		return f.root.Remove(at)
	}
	found.bytes += info.Size()
	name, marks := strings.CutPrefix(info.Name(), unsettled)
	if old && marks && ValidName(name) && len(found.unsettled) < maxUnsettled {
		found.unsettled = append(found.unsettled, Unsettled{path.Base(path.Dir(at)), name})
	}
	return nil
}

// reserve takes room for more bytes, if there is any.
func (u *usage) reserve(n, quota int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes+n > quota {
		return false
	}
	u.bytes += n
	return true
}

// release gives room back.
func (f *Files) release(tenant string, n int64) {
	f.mu.Lock()
	u := f.usage[tenant]
	f.mu.Unlock()
	if u == nil {
		return // not counted yet
	}
	u.mu.Lock()
	u.bytes = max(0, u.bytes-n)
	u.mu.Unlock()
}

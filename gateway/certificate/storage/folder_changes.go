package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// clockStep is the coarsest step of a file system's clock (FAT). Two changes within it may show the same time.
const clockStep = 2 * time.Second

const (
	// manyFiles is from where on reading a folder is work, some tenths of a second for 100,000 files. Such a one is not read again before
	// readShare times that has passed, so that a time of many orders does not cost a processor.
	manyFiles = 5000
	readShare = 20
)

// folderMark is what the folders below a prefix looked like. Every change by Store or Delete changes the time of the folder it is in, so
// that nothing has to be read of a folder whose time is the same.
type folderMark struct {
	storage string
	folders map[string]*folderLook // by key; immutable
}

// folderLook is what one folder looked like. It costs some 60 bytes a file.
type folderLook struct {
	modified time.Time // by the file system's clock
	first    time.Time // when, by our clock, the folder was first seen with that time
	read     time.Time // when, by our clock, it was read
	took     time.Duration
	settled  bool       // it was read once more when a clock's step had passed since first
	files    []fileLook // by name
	folders  []string   // names
}

type fileLook struct {
	name     string
	modified int64 // Unix time in ns
	size     int64
}

// Changes implements Storage. A file that is written in place, as only people do, is found with the next change of its folder.
func (f *folder) Changes(ctx context.Context, prefix string, since Mark) ([]string, Mark, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, since, err
	}
	var old map[string]*folderLook
	if since.folder != nil && since.prefix == prefix && since.folder.storage == f.path {
		old = since.folder.folders
	}
	c := comparison{ctx: ctx, storage: f, now: time.Now(), old: old, new: make(map[string]*folderLook, len(old))}
	if err := c.visit(prefix); err != nil {
		return nil, since, fmt.Errorf("looking for changes in %q: %w", prefix, err)
	}
	for key, look := range old {
		if c.new[key] == nil { // the folder is gone
			c.compare(key, look, &folderLook{})
		}
	}
	return c.keys, Mark{prefix: prefix, folder: &folderMark{storage: f.path, folders: c.new}}, nil
}

// comparison is one call of Changes.
type comparison struct {
	ctx      context.Context
	storage  *folder
	now      time.Time
	old, new map[string]*folderLook
	keys     []string
}

// visit compares a folder, and those below, with what they were.
func (c *comparison) visit(key string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(c.storage.filename(key))
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		c.visitFile(key, info)
		return nil
	}
	old := c.old[key]
	look := old
	if old.outdated(info.ModTime(), c.now) {
		if look, err = c.read(key, info.ModTime()); err != nil {
			return err
		}
		if look == nil {
			return nil
		}
		c.compare(key, old, look)
	}
	c.new[key] = look
	for _, name := range look.folders {
		if err := c.visit(below(key, name)); err != nil {
			return err
		}
	}
	return nil
}

// outdated reports whether a folder, which now has the given time, is to be read again.
func (look *folderLook) outdated(modified, now time.Time) bool {
	if look == nil {
		return true
	}
	if len(look.files) >= manyFiles && now.Sub(look.read) < readShare*look.took {
		return false // a later call will
	}
	return !look.modified.Equal(modified) || !look.settled && now.Sub(look.first) >= clockStep
}

// visitFile is for a prefix that is the key of a file.
func (c *comparison) visitFile(key string, info fs.FileInfo) {
	look := &folderLook{files: []fileLook{{modified: info.ModTime().UnixNano(), size: info.Size()}}}
	c.compare(key, c.old[key], look)
	c.new[key] = look
}

// read returns nil when the folder has gone.
func (c *comparison) read(key string, modified time.Time) (*folderLook, error) {
	look := &folderLook{modified: modified, first: c.now, read: time.Now()}
	if old := c.old[key]; old != nil && old.modified.Equal(modified) {
		look.first, look.settled = old.first, true
	}
	entries, err := c.storage.entries(key)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	parent := c.storage.filename(key)
	look.files = make([]fileLook, 0, len(entries))
	for _, entry := range entries {
		if entry.IsDir() {
			look.folders = append(look.folders, entry.Name())
			continue
		}
		info, err := linked(parent, entry)
		if err != nil || info.IsDir() {
			continue // gone meanwhile, or a link that leads nowhere or to a folder
		}
		look.files = append(look.files, fileLook{entry.Name(), info.ModTime().UnixNano(), info.Size()})
	}
	look.took = time.Since(look.read)
	return look, nil
}

// compare adds the keys of files that differ. Those that were young when an unsettled folder was read are added in any case: they may have
// been written again within the clock's step.
func (c *comparison) compare(key string, old, look *folderLook) {
	if old == nil {
		old = &folderLook{}
	}
	young := int64(1<<63 - 1)
	if !old.settled && !old.modified.IsZero() {
		young = old.modified.Add(-clockStep).UnixNano()
	}
	add := func(name string) {
		if name == "" { // the prefix itself is a file
			c.keys = append(c.keys, key)
			return
		}
		c.keys = append(c.keys, below(key, name))
	}
	before, after := old.files, look.files
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) == 0 || len(after) > 0 && after[0].name < before[0].name:
			add(after[0].name)
			after = after[1:]
		case len(after) == 0 || before[0].name < after[0].name:
			add(before[0].name)
			before = before[1:]
		default:
			if before[0] != after[0] || before[0].modified >= young {
				add(after[0].name)
			}
			before, after = before[1:], after[1:]
		}
	}
}

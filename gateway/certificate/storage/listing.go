package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// List implements certmagic.Storage. Like certmagic's own it returns folders as well as files, sorted within each folder; those below
// folders only when recursive. Links to folders are not followed.
func (f *folder) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	keys, err := f.list(ctx, nil, prefix, recursive)
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", prefix, asAbsent(err))
	}
	return keys, nil
}

// list appends to keys.
func (f *folder) list(ctx context.Context, keys []string, prefix string, recursive bool) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return keys, err
	}
	entries, err := f.entries(prefix)
	if err != nil {
		return keys, err
	}
	for _, entry := range entries {
		key := below(prefix, entry.Name())
		keys = append(keys, key)
		if !recursive || !entry.IsDir() {
			continue
		}
		// A folder that goes away meanwhile is no fault.
		if keys, err = f.list(ctx, keys, key, true); err != nil && !absent(err) {
			return keys, err
		}
	}
	return keys, nil
}

// entries are what lies in a folder, without what is the storage's own.
func (f *folder) entries(key string) ([]fs.DirEntry, error) {
	parent := f.filename(key)
	all, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, entry := range all {
		switch name := entry.Name(); {
		case strings.HasPrefix(name, besidePrefix):
			removeForgotten(parent, entry)
		case key == "" && name == locksFolder:
		case strings.ContainsRune(name, '\\') || !utf8.ValidString(name): // which no key has
		default:
			kept = append(kept, entry)
		}
	}
	return kept, nil
}

// linked resolves what an entry leads to.
func linked(parent string, entry fs.DirEntry) (fs.FileInfo, error) {
	if entry.Type()&fs.ModeSymlink != 0 {
		return os.Stat(filepath.Join(parent, entry.Name()))
	}
	return entry.Info()
}

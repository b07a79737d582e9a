package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

func TestFolderLayout(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new", "certs")
	s := openFolder(t, root)
	mustStore(t, s, "authority/root.key", "key")
	mustLock(t, s, "authority")
	modes := map[string]os.FileMode{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		name, _ := filepath.Rel(root, path)
		modes[filepath.ToSlash(name)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]os.FileMode{
		".":                    0o755 | os.ModeDir,
		"authority":            0o700 | os.ModeDir,
		"authority/root.key":   0o600,
		"locks":                0o700 | os.ModeDir,
		"locks/authority.lock": 0o600,
		"locks/" + guardFile:   0o600,
	}
	for name, mode := range want {
		if modes[name] != mode && runtime.GOOS != "windows" {
			t.Errorf("%q has mode %v, want %v", name, modes[name], mode)
		}
	}
	if len(modes) != len(want) {
		t.Errorf("the folder holds %v", modes)
	}
}

// A folder that certmagic.FileStorage wrote is read on, and the other way round; each honours the other's locks.
func TestFolderIsCertmagics(t *testing.T) {
	path := t.TempDir()
	s, theirs := openFolder(t, path), &certmagic.FileStorage{Path: path}
	if err := theirs.Store(t.Context(), "authority/root.crt", []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	expectValue(t, s, "authority/root.crt", "theirs")
	mustStore(t, s, "authority/root.crt", "ours")
	if got, err := theirs.Load(t.Context(), "authority/root.crt"); err != nil || string(got) != "ours" {
		t.Errorf("%q, %v", got, err)
	}

	if err := theirs.Lock(t.Context(), "authority"); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.TryLock(t.Context(), "authority"); ok || err != nil {
		t.Errorf("a lock of certmagic's is taken: %v, %v", ok, err)
	}
	if err := theirs.Unlock(t.Context(), "authority"); err != nil {
		t.Fatal(err)
	}
	mustLock(t, s, "authority")
	if ok, err := theirs.TryLock(t.Context(), "authority"); ok || err != nil {
		t.Errorf("certmagic takes a lock of ours: %v, %v", ok, err)
	}
}

// What people dropped into the folder is theirs.
func TestFolderLeavesOtherFilesAlone(t *testing.T) {
	path := t.TempDir()
	dropped := filepath.Join(path, "shop.example", "privkey.pem")
	writeFile(t, dropped, "a key")
	s := openFolder(t, path)
	mustStore(t, s, "certificates/a.pem", "a")
	sealed, err := Seal(s, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := SealAll(t.Context(), sealed, "certificates", "acme"); n != 1 || err != nil {
		t.Errorf("SealAll = %d, %v", n, err)
	}
	if keys, _ := mustChanges(t, s, "certificates", Mark{}); !slices.Equal(keys, []string{"certificates/a.pem"}) {
		t.Errorf("changes are %q", keys)
	}
	if err := s.Delete(t.Context(), "certificates"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dropped); err != nil || string(got) != "a key" {
		t.Errorf("%q, %v", got, err)
	}
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that is being written is not seen; one that a killed process left is cleared away after an hour.
func TestFolderFilesBeside(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	mustStore(t, s, "certificates/a.pem", "a")
	young, old := filepath.Join(path, "certificates", besidePrefix+"young"), filepath.Join(path, "certificates", besidePrefix+"old")
	writeFile(t, young, "half")
	writeFile(t, old, "half")
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*forgotten)); err != nil {
		t.Fatal(err)
	}
	keys, err := s.List(t.Context(), "", true)
	if err != nil || !slices.Equal(keys, []string{"certificates", "certificates/a.pem"}) {
		t.Errorf("%q, %v", keys, err)
	}
	if keys, _ := mustChanges(t, s, "", Mark{}); !slices.Equal(keys, []string{"certificates/a.pem"}) {
		t.Errorf("%q", keys)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("a forgotten file is still there: %v", err)
	}
}

func TestFolderSaysOnceThatAFileIsEmpty(t *testing.T) {
	path := t.TempDir()
	writeFile(t, filepath.Join(path, "certificates", "a.pem"), "")
	logger, logs := watchLog(t)
	s, err := OpenFolder(path, logger)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	for range 3 {
		expectAbsent(t, s, "certificates/a.pem")
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines were logged", logs.Len())
	}
	mustStore(t, s, "certificates/a.pem", "a")
	expectValue(t, s, "certificates/a.pem", "a")
}

// Files that are no files do not block a reader.
func TestFolderReadsOnlyFiles(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	if err := os.Symlink("/dev/zero", filepath.Join(path, "endless")); err != nil {
		t.Skip(err)
	}
	if _, err := s.Load(t.Context(), "endless"); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a device is read: %v", err)
	}
	writeFile(t, filepath.Join(path, "large"), strings.Repeat("x", maxValue+1))
	if _, err := s.Load(t.Context(), "large"); err == nil {
		t.Error("a file above the limit is read")
	}
}

// Two writes within one step of the file system's clock, with a look in between, are told apart, even by a file of the same size.
func TestFolderChangesWithinAClockStep(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	key, parent := "certificates/a.pem", filepath.Join(path, "certificates")
	step := time.Now().Truncate(time.Second)
	freeze := func() { // as a coarse clock would show it
		for _, name := range []string{filepath.Join(parent, "a.pem"), parent} {
			if err := os.Chtimes(name, step, step); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustStore(t, s, key, "1")
	freeze()
	_, mark := mustChanges(t, s, "certificates", Mark{})
	mustStore(t, s, key, "2")
	freeze()
	eventually(t, "the second write is found", 10*time.Second, func() bool {
		var keys []string
		keys, mark = mustChanges(t, s, "certificates", mark)
		return slices.Equal(keys, []string{key})
	})
	for range 3 {
		var keys []string
		if keys, mark = mustChanges(t, s, "certificates", mark); len(keys) > 0 {
			t.Errorf("found again: %q", keys)
		}
	}
}

// While a large folder changes all the time, looking at it takes a small share of a processor; nothing is lost by that.
func TestFolderLargeIsNotReadAllTheTime(t *testing.T) {
	path := t.TempDir()
	for i := range manyFiles {
		writeFile(t, filepath.Join(path, "certificates", fmt.Sprint(i)), "x")
	}
	s := openFolder(t, path)
	_, mark := mustChanges(t, s, "certificates", Mark{})
	mark.folder.folders["certificates"].took = time.Hour // immutable for all but this test
	mustStore(t, s, "certificates/7", "y")
	if keys, _ := mustChanges(t, s, "certificates", mark); len(keys) > 0 {
		t.Errorf("it was read again at once: %q", keys)
	}
	mark.folder.folders["certificates"].took = time.Nanosecond
	if keys, _ := mustChanges(t, s, "certificates", mark); !slices.Contains(keys, "certificates/7") {
		t.Errorf("changes are %q", keys)
	}
}

// An unreadable folder is an error and takes nothing away.
func TestFolderUnreadable(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	mustStore(t, s, "certificates/a.pem", "a")
	_, mark := mustChanges(t, s, "certificates", Mark{})
	aside := filepath.Join(path, "aside")
	if err := os.Rename(filepath.Join(path, "certificates"), aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("certificates", filepath.Join(path, "certificates")); err != nil { // a loop
		t.Skip(err)
	}
	keys, same, err := s.Changes(t.Context(), "certificates", mark)
	if err == nil || len(keys) > 0 {
		t.Errorf("changes are %q, %v", keys, err)
	}
	if err := os.Remove(filepath.Join(path, "certificates")); err != nil {
		t.Fatal(err)
	}
	keys, _ = mustChanges(t, s, "certificates", same) // the whole folder is gone, which is a change
	if !slices.Equal(keys, []string{"certificates/a.pem"}) {
		t.Errorf("changes are %q", keys)
	}
}

// thousands makes a folder with n files of the size of a record.
func thousands(b *testing.B, n int) *folder {
	path := b.TempDir()
	content := strings.Repeat("x", 3000)
	for i := range n {
		writeFile(b, filepath.Join(path, "certificates", fmt.Sprintf("tenant-%06d.example.com.pem", i)), content)
	}
	return openFolder(b, path)
}

func BenchmarkFolder100k(b *testing.B) {
	s := thousands(b, 100_000)
	b.Run("List", func(b *testing.B) {
		for b.Loop() {
			if keys, err := s.List(b.Context(), "certificates", true); err != nil || len(keys) != 100_000 {
				b.Fatal(len(keys), err)
			}
		}
	})
	b.Run("ChangesFirst", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if keys, _ := mustChanges(b, s, "certificates", Mark{}); len(keys) != 100_000 {
				b.Fatal(len(keys))
			}
		}
	})
	_, mark := mustChanges(b, s, "certificates", Mark{})
	b.Run("ChangesOne", func(b *testing.B) {
		b.ReportAllocs()
		mustChanges(b, s, "certificates", mark)
		for b.Loop() {
			b.StopTimer()
			mustStore(b, s, "certificates/tenant-000500.example.com.pem", "y")
			mark.folder.folders["certificates"].took = 0 // as if the last time was long ago
			b.StartTimer()
			var keys []string
			if keys, mark = mustChanges(b, s, "certificates", mark); len(keys) == 0 {
				b.Fatal(len(keys))
			}
		}
	})
	eventually(b, "the folder is settled", 20*time.Second, func() bool {
		_, mark = mustChanges(b, s, "certificates", mark)
		return mark.folder.folders["certificates"].settled
	})
	b.Run("ChangesNone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if keys, _ := mustChanges(b, s, "certificates", mark); len(keys) != 0 {
				b.Fatal(len(keys))
			}
		}
	})
	b.Run("Store", func(b *testing.B) { benchmarkStore(b, s) })
}

func benchmarkStore(b *testing.B, s Storage) {
	value := make([]byte, 3000)
	for b.Loop() {
		if err := s.Store(b.Context(), "certificates/a.pem", append(value, 1)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkLock(b *testing.B, s Storage) {
	for b.Loop() {
		if ok, err := s.TryLock(b.Context(), "order"); !ok || err != nil {
			b.Fatal(ok, err)
		}
		if err := s.Unlock(b.Context(), "order"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFolder(b *testing.B) {
	s := openFolder(b, b.TempDir())
	b.Run("Store", func(b *testing.B) { benchmarkStore(b, s) })
	b.Run("Lock", func(b *testing.B) { benchmarkLock(b, s) })
}

func BenchmarkMongo(b *testing.B) {
	s := openMongo(b, startMongo(b)("bench"))
	b.Run("Store", func(b *testing.B) { benchmarkStore(b, s) })
	b.Run("Lock", func(b *testing.B) { benchmarkLock(b, s) })
}

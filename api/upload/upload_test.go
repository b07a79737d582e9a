package upload

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const id = "0123456789abcdef01234567"

func pictureOf(t testing.TB, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), make([]byte, max(0, size-out.Len()))...)
}

func open(t testing.TB, folder string) *Files {
	t.Helper()
	f, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestStageCommitRemove(t *testing.T) {
	f := open(t, t.TempDir())
	want := pictureOf(t, 1000)
	s, err := f.Stage("anna", "product", bytes.NewReader(want), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Open("anna", "product", s.Name(id)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is committed: %v", err)
	}
	if err := errors.Join(s.Commit("ffffffffffffffffffffffff"), s.Commit(id), s.Commit(id)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Keep(), s.Discard()); err != nil {
		t.Fatal(err)
	}
	file, size, err := f.Open("anna", "product", s.Name(id))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil || size != 1000 || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), size, err)
	}
	if _, err := f.Stage("anna", "product", bytes.NewReader(want), 1999); !errors.Is(err, ErrQuota) {
		t.Errorf("beyond the quota: %v", err)
	}
	if _, err := f.Stage("ben", "product", bytes.NewReader(want), 1000); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	if _, err := open(t, f.root.Name()).Stage("anna", "product", bytes.NewReader(want), 1999); !errors.Is(err, ErrQuota) {
		t.Errorf("another process does not count what is there: %v", err)
	}
	if err := errors.Join(f.Remove("anna", "product", s.Name(id)), f.Remove("anna", "product", s.Name(id))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stage("anna", "product", bytes.NewReader(want), 1000); err != nil {
		t.Errorf("what was removed takes room: %v", err)
	}
}

func TestNamesLeadNowhereElse(t *testing.T) {
	folder := t.TempDir()
	f := open(t, filepath.Join(folder, "uploads"))
	name := id + "-" + strings.Repeat("0", 32) + ".png"
	for _, link := range []string{"anna", "real/product"} { // links that somebody has put there
		at := filepath.Join(folder, "uploads", link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.Symlink(folder, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600), os.MkdirAll(filepath.Join(folder, "product"), 0o700),
		os.WriteFile(filepath.Join(folder, "product", name), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, at := range [][3]string{{"anna", "product", name}, {"real", "product", name}, {"..", "product", name}, {"real", "..", name}, {"real", "product", "../" + name}, {"", "", name}} {
		if file, _, err := f.Open(at[0], at[1], at[2]); err == nil {
			file.Close()
			t.Errorf("%q is opened", at)
		}
		_ = f.Remove(at[0], at[1], at[2])
	}
	if _, err := os.Stat(filepath.Join(folder, "product", name)); err != nil {
		t.Error("a file outside is removed")
	}
	for _, at := range [][2]string{{"../x", "product"}, {"anna", "product"}, {"real", "product"}, {"a/b", "c"}, {"", "c"}} {
		if _, err := f.Stage(at[0], at[1], bytes.NewReader(pictureOf(t, 0)), 1000); err == nil {
			t.Errorf("%q is written to", at)
		}
	}
}

func TestOpenCleans(t *testing.T) {
	folder := t.TempDir()
	f := open(t, folder)
	fresh, err := f.Stage("anna", "product", bytes.NewReader(pictureOf(t, 0)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.Stage("anna", "product", bytes.NewReader(pictureOf(t, 0)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(filepath.Join(folder, old.path()), before, before); err != nil {
		t.Fatal(err)
	}
	open(t, folder)
	if _, err := os.Stat(filepath.Join(folder, old.path())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a dead process has left is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, fresh.path())); err != nil {
		t.Errorf("what another process is writing has gone: %v", err)
	}
}

func TestQuotaHoldsTogether(t *testing.T) {
	f := open(t, t.TempDir())
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 20 {
		all.Go(func() {
			if _, err := f.Stage("anna", "product", bytes.NewReader(pictureOf(t, 1000)), 5500); err == nil {
				mu.Lock()
				done++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if found, err := f.count("anna"); err != nil || found.bytes > 5500 || found.bytes != int64(done)*1000 || f.usage["anna"].bytes != found.bytes {
		t.Errorf("%d are kept, %d bytes, counted as %d, %v", done, found.bytes, f.usage["anna"].bytes, err)
	}
}

// What a process leaves that ends between commit and document is found a day later; what is kept, discarded or removed never is.
func TestUnsettledFiles(t *testing.T) {
	folder := t.TempDir()
	f := open(t, folder)
	stage := func() *Staged {
		t.Helper()
		s, err := f.Stage("anna", "product", bytes.NewReader(pictureOf(t, 1000)), 10000)
		if err == nil {
			err = errors.Join(s.Commit("ffffffffffffffffffffffff"), s.Commit(id))
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := func(now time.Duration, names ...string) {
		t.Helper()
		later := open(t, folder) // another process
		later.now = func() time.Time { return time.Now().Add(now) }
		found, err := later.TakeUnsettled("anna")
		var got []string
		for _, file := range found {
			if got = append(got, file.Name); file.Resource != "product" || file.Document() != id {
				t.Errorf("found %+v", file)
			}
		}
		if err != nil || !slices.Equal(got, names) {
			t.Errorf("found %q, want %q, %v", got, names, err)
		}
		if again, err := later.TakeUnsettled("anna"); err != nil || len(again) > 0 {
			t.Errorf("found once more: %v, %v", again, err)
		}
	}
	dead, kept, discarded, left := stage(), stage(), stage(), stage()
	left.Leave()
	if err := errors.Join(kept.Keep(), kept.Discard(), discarded.Discard(), left.Discard()); err != nil {
		t.Fatal(err)
	}
	names := []string{dead.Name(id), left.Name(id)}
	slices.Sort(names)
	want(abandoned - time.Hour)
	want(abandoned+time.Hour, names...)
	if err := errors.Join(f.Remove("anna", "product", dead.Name(id)), f.Settle("anna", "product", left.Name(id))); err != nil {
		t.Fatal(err)
	}
	want(abandoned + time.Hour)
	entries, err := os.ReadDir(filepath.Join(folder, "anna", "product"))
	if err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func FuzzExtension(f *testing.F) {
	for _, seed := range []string{"GIF89a\x01\x00\x01\x00\x00\x00\x00", "RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00", "\x00\x00\x00\x18ftypavif\x00\x00\x00\x00avifmif1xx", "%PDF-1.7\n", "\xff\xd8\xff", "<svg"} {
		f.Add([]byte(seed))
	}
	f.Add(pictureOf(f, 0))
	f.Fuzz(func(t *testing.T, head []byte) {
		ext := extension(head, int64(len(head)))
		if ext == "" {
			return
		}
		if TypeOf("x"+ext) == "" || ext != ".pdf" && markup(head) {
			t.Errorf("%q for %q", ext, head)
		}
	})
}

func TestExtension(t *testing.T) {
	f := func(head, want string) {
		t.Helper()
		if got := extension([]byte(head), int64(len(head))); got != want {
			t.Errorf("%q is %q, want %q", head, got, want)
		}
	}
	f("RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00", ".webp")
	f("RIFF\x0d\x01\x00\x00WEBPVP8 \x00\x00\x00\x00", "")
	f("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00avifmif1xx", ".avif")
	f("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00mp41mp42xx", "")
	f("\xff\xff\xff\xffftypavif\x00\x00\x00\x00avifmif1xx", "")
	f("%PDF-1.7\n", ".pdf")
	f(string(pictureOf(t, 0)), ".png")
	f("GIF89a=1", "")
	f("", "")
	f("PK\x03\x04", "")
}

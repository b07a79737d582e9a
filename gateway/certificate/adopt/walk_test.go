package adopt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLinkLoops(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).files("a.test")
	write(t, f.full+f.key, folder, "x", "a.pem")
	link(t, "..", folder, "x", "up")
	link(t, folder, folder, "x", "again")
	link(t, "self.pem", folder, "x", "self.pem")
	link(t, "gone.pem", folder, "x", "dangling.pem")
	link(t, "nowhere", folder, "x", "nowhere")
	got := Find([]string{folder}, today)
	expectFound(t, got, "a.test pem "+folder+"/x/a.pem")
	expectUnread(t, got, folder+"/x/dangling.pem: is not there, or is a link that leads nowhere", folder+"/x/self.pem: cannot be read, check the disk and the links")
}

func TestLinkedFolder(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).files("a.test")
	write(t, f.full+f.key, folder, "elsewhere", "a.pem")
	link(t, "../elsewhere", folder, "given", "certs")
	expectFound(t, Find([]string{filepath.Join(folder, "given")}, today), "a.test pem "+folder+"/given/certs/a.pem")
}

func TestDepth(t *testing.T) {
	folder := t.TempDir()
	ca := letsEncrypt(t)
	path := folder
	for depth := 1; depth <= maxDepth+2; depth++ {
		path = filepath.Join(path, "d")
		if depth >= maxDepth {
			f := ca.files(fmt.Sprintf("at%d.test", depth))
			write(t, f.full+f.key, path, "a.pem")
		}
	}
	got := Find([]string{folder}, today)
	expectFound(t, got, fmt.Sprintf("at%d.test pem %s/a.pem", maxDepth, filepath.Join(folder, "d/d/d/d/d/d/d/d")))
	expectUnread(t, got, folder+": has folders more than 8 deep, which were not looked into")
}

func TestBoundsOfATree(t *testing.T) {
	folder := t.TempDir()
	ca := letsEncrypt(t)
	for _, name := range []string{"a", "b", "c"} {
		f := ca.files(name + ".test")
		write(t, f.full+f.key, folder, name, "x.pem")
	}
	f := func(w walk, sentence string) {
		t.Helper()
		w.finder, w.root = newFinder(today), folder
		w.tree(folder)
		got := w.finder.findings()
		expectUnread(t, got, folder+": "+sentence)
		if len(got.Found) > 2 {
			t.Errorf("found %d in spite of the bound", len(got.Found))
		}
	}
	f(walk{entries: maxEntries - 4}, "holds more than 1000000 files, the rest was not looked at")
	f(walk{bytes: maxBytes - 3000}, "holds more than 2147483648 bytes of PEM files, the rest was not looked at")
}

// TestBoundWithinAFolder: a key that was not read any more is not said to be missing.
func TestBoundWithinAFolder(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).files("a.test")
	write(t, f.full, folder, "x.crt")
	write(t, f.key, folder, "x.key")
	w := walk{finder: newFinder(today), root: folder, bytes: maxBytes - int64(len(f.full))}
	w.tree(folder)
	expectUnread(t, w.finder.findings(), folder+": holds more than 2147483648 bytes of PEM files")
}

func TestBoundsOfARun(t *testing.T) {
	folder := t.TempDir()
	ca := letsEncrypt(t)
	for _, name := range []string{"a", "b", "c"} {
		f := ca.files(name + ".test")
		write(t, f.full+f.key, folder, name+".pem")
	}
	f := newFinder(today)
	f.leaves = maxLeaves - 2
	w := walk{finder: f, root: folder}
	w.tree(folder)
	got := f.findings()
	expectFound(t, got, "a.test pem "+folder+"/a.pem", "b.test pem "+folder+"/b.pem")
	expectUnread(t, got, folder+": is where reading ended, at 200000 certificates")

	f = newFinder(today)
	for range maxUnread + 7 {
		f.tell("/x", "is bad")
	}
	got = f.findings()
	if last := got.Unread[len(got.Unread)-1]; len(got.Unread) != maxUnread+1 || last.Reason != "is the last that is listed, 7 more were not taken: repair these, then adopt again" {
		t.Errorf("%d lines, the last %q", len(got.Unread), last)
	}
}

func TestPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	folder := t.TempDir()
	f := letsEncrypt(t).files("a.test")
	write(t, f.full, folder, "open", "fullchain.pem")
	write(t, f.key, folder, "open", "privkey.pem")
	write(t, f.full, folder, "shut", "fullchain.pem")
	for path, mode := range map[string]os.FileMode{filepath.Join(folder, "open", "privkey.pem"): 0, filepath.Join(folder, "shut"): 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	got := Find([]string{folder}, today)
	expectFound(t, got)
	expectUnread(t, got, folder+"/open/privkey.pem: cannot be read: run this as a user who may", folder+"/shut: cannot be read: run this as a user who may")
}

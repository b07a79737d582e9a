//go:build unix

package adopt

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestNamedPipe would hang where a pipe is opened as a file is.
func TestNamedPipe(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).files("a.test")
	write(t, f.full+f.key, folder, "a.pem")
	for _, name := range []string{"pipe.pem", "acme.json", "pipe"} {
		if err := syscall.Mkfifo(filepath.Join(folder, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "pipe", folder, "linked.key")
	got := Find([]string{folder, filepath.Join(folder, "acme.json"), filepath.Join(folder, "pipe")}, today)
	expectFound(t, got, "a.test pem "+folder+"/a.pem")
	const sentence = ": is not a regular file"
	expectUnread(t, got, folder+"/linked.key"+sentence, folder+"/pipe.pem"+sentence, folder+"/acme.json"+sentence, folder+"/acme.json"+sentence, folder+"/pipe"+sentence)
}

// TestOpenRegularDoesNotWait is about a file that becomes a pipe between the look at it and its opening.
func TestOpenRegularDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, fault := openFile(path); fault != notRegular {
		t.Errorf("the fault is %q", fault)
	}
}

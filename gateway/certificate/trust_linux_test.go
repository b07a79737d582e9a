package certificate

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/truststore"
)

// useTrustStore points truststore at a folder of the test, with a command that rebuilds nothing.
func useTrustStore(t *testing.T, command ...string) (folder string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be given another trust store without sudo")
	}
	if _, err := exec.LookPath("sudo"); err == nil {
		t.Skip("sudo is installed and would be asked")
	}
	t.Setenv("HOME", t.TempDir())
	format, old := truststore.SystemTrustFilename, truststore.SystemTrustCommand
	t.Cleanup(func() { truststore.SystemTrustFilename, truststore.SystemTrustCommand = format, old })
	folder = t.TempDir()
	truststore.SystemTrustFilename, truststore.SystemTrustCommand = filepath.Join(folder, "%s.crt"), command
	return folder
}

func TestTrustAndUntrust(t *testing.T) {
	store := useTrustStore(t, "true")
	certs := t.TempDir()
	if err := Trust(local(certs)); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(store, "*.crt"))
	if len(files) != 1 {
		t.Fatalf("the store holds %q", files)
	}
	installed, err := truststore.ReadCertificate(files[0])
	if err != nil || !installed.Equal(mustOpen(t, certs).root) {
		t.Errorf("what was installed is not the root: %v", err)
	}
	if err := Trust(local(certs)); err != nil {
		t.Errorf("a second time: %v", err)
	}

	if err := Untrust(certs); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(store, "*.crt")); len(files) != 0 {
		t.Errorf("the store still holds %q", files)
	}
	if !mustOpen(t, certs).root.Equal(installed) {
		t.Error("the root itself is gone")
	}
}

func TestTrustSaysWhatToRun(t *testing.T) {
	useTrustStore(t, "false")
	certs := t.TempDir()
	err := Trust(local(certs))
	if err == nil || !strings.Contains(err.Error(), "sudo metahub trust") || !strings.Contains(err.Error(), filepath.Join(certs, rootCertKey)) {
		t.Errorf("the error is %v", err)
	}
	if err = Untrust(certs); err == nil || !strings.Contains(err.Error(), "sudo metahub trust --remove") {
		t.Errorf("the error is %v", err)
	}
}

func TestTrustWithoutASystemStore(t *testing.T) {
	useTrustStore(t)
	err := Trust(local(t.TempDir()))
	if !errors.Is(err, truststore.ErrNotSupported) || !strings.Contains(err.Error(), "--cacert") {
		t.Errorf("the error is %v", err)
	}
}

func TestUntrustWithoutARoot(t *testing.T) {
	certs := t.TempDir()
	if err := Untrust(certs); err == nil || !strings.Contains(err.Error(), "no local authority") {
		t.Errorf("the error is %v", err)
	}
}

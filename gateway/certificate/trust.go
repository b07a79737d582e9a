package certificate

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/smallstep/truststore"
	"go.uber.org/zap"

	"metahub/tenant"
)

// Trust puts the root of the local authority into this machine's trust stores, the system's and, where certutil is there, those of
// Chromium and Firefox. It makes the root when there is none yet. Its error says what to run instead.
func Trust(settings tenant.Certificates) error {
	folder := settings.Folder
	authority, err := loadAuthority(settings)
	if err != nil {
		return err
	}
	if err := changeSystem(); err != nil {
		return explainTrust("trust", folder, err)
	}
	if err := truststore.Install(authority.root, browserStores()...); err != nil {
		return explainTrust("trust", folder, err)
	}
	return nil
}

// loadAuthority opens the authority, with its root where clients are told to find it.
func loadAuthority(settings tenant.Certificates) (*authority, error) {
	shared, _, err := openStorage(settings, zap.NewNop())
	if err != nil {
		return nil, err
	}
	authority, err := openAuthority(shared, zap.NewNop())
	if err == nil {
		err = authority.publishRoot(settings)
	}
	return authority, closeWith(shared, err)
}

// Untrust takes the root of the local authority in folder out of this machine's trust stores. The root itself stays in its folder.
func Untrust(folder string) error {
	path := rootPath(folder)
	root, err := truststore.ReadCertificate(path)
	if err != nil {
		return fmt.Errorf("there is no local authority at %q to take back: %w", path, err)
	}
	if err := uninstall(root); err != nil {
		return explainTrust("trust --remove", folder, err)
	}
	return nil
}

func uninstall(root *x509.Certificate) error {
	if err := changeSystem(); err != nil {
		return err
	}
	return truststore.Uninstall(root, browserStores()...)
}

// errNotRoot is found before truststore runs half of its commands.
var errNotRoot = errors.New("the system's trust store belongs to root")

// changeSystem reports whether the system's store can be written: on Linux that takes root, or sudo, which truststore calls by itself.
func changeSystem() error {
	if runtime.GOOS != "linux" || os.Geteuid() == 0 {
		return nil
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		return errNotRoot
	}
	return nil
}

// browserStores are those that do not ask the system: NSS, of Chromium and Firefox on Linux.
func browserStores() []truststore.Option {
	if _, err := truststore.NewNSSTrust(); err != nil {
		return nil
	}
	return []truststore.Option{truststore.WithFirefox()}
}

// explainTrust adds what an administrator can do by hand.
func explainTrust(command, folder string, cause error) error {
	path := rootPath(folder)
	var failed *truststore.CmdError
	if errors.As(cause, &failed) && len(failed.Out()) > 0 {
		cause = fmt.Errorf("%w: %s", cause, failed.Out())
	}
	if errors.Is(cause, truststore.ErrNotSupported) {
		return fmt.Errorf("this system has no trust store that can be changed from here: give %q to each client itself, as curl --cacert does: %w", path, cause)
	}
	return fmt.Errorf("the system's trust store was not changed: run \"sudo metahub %s\", or import or remove %q in the browser's certificate settings: %w", command, path, cause)
}

package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"metahub/tenant"
)

// healthTimeout is below the timeout that container engines give a health check by default.
const healthTimeout = 5 * time.Second

func newHealth(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask a running MetaHub whether it is ready",
		Long: `Health asks /readyz at the admin address of tenants.yaml, --admin or METAHUB_GATEWAY_ADMIN, and exits with 0 when the
answer is "ready", else with 1. It is the container's HEALTHCHECK.`,
		Example: `  metahub health
  metahub health --admin 127.0.0.1:9180`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return health(c.Context(), s) },
	}
}

func health(ctx context.Context, s *settings) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := s.askAdmin(ctx, http.MethodGet, "/readyz"); err != nil {
		return err
	}
	fmt.Fprintln(s.process.Stdout, "ready")
	return nil
}

// adminAddress is where a server with these settings listens, as an address that can be dialled. Where flag and environment name it
// the file is not read: it may be large, or broken since the server read it.
func (s *settings) adminAddress() (string, error) {
	address := lookup(s.process.Environ, "METAHUB_GATEWAY_ADMIN")
	if flag := s.gateway.Lookup("gateway.admin"); flag.Changed {
		address = flag.Value.String()
	}
	if address == "" {
		directory, faults := tenant.Load(s.source())
		if directory == nil {
			return "", fmt.Errorf("cannot tell the admin address, give it by --admin: %w", faults)
		}
		address = directory.Gateway().Admin
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("admin address %q: write host:port, like 127.0.0.1:9180", address)
	}
	return net.JoinHostPort(dialable(host), port), nil
}

// dialable is a host to connect to where a server listens on host.
func dialable(host string) string {
	switch ip := net.ParseIP(host); {
	case host == "":
		return "127.0.0.1"
	case ip == nil || !ip.IsUnspecified():
		return host
	case ip.To4() == nil:
		return "::1"
	}
	return "127.0.0.1"
}

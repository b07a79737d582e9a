package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"metahub/tenant"
)

func newCheck(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with tenants.yaml, or what it would serve",
		Long: `Check reads tenants.yaml, its includes and the files and variables that they name, and starts nothing.
It prints every fault with file and line and exits with 1, or prints a table of all tenants and exits with 0.`,
		Example: `  metahub check
  metahub check --config tenants.new.yaml && mv tenants.new.yaml tenants.yaml`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return check(s) },
	}
}

func check(s *settings) error {
	out := s.process.Stdout
	directory, faults := tenant.Load(s.source())
	if len(faults) > 0 {
		fmt.Fprintln(out, faults)
		fmt.Fprintf(out, "\n%s in %s\n", count(len(faults), "fault"), s.config)
		return errSaid
	}
	tenants := directory.Tenants()
	writeTenants(out, tenants, directory.Gateway().HTTPS)
	fmt.Fprintf(out, "\n%s on %s in %s: no fault\n", count(len(tenants), "tenant"), count(hosts(tenants), "host"), s.config)
	return nil
}

func hosts(tenants []*tenant.Tenant) (n int) {
	for _, t := range tenants {
		n += len(t.Domains)
	}
	return n
}

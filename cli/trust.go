package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"metahub/gateway/certificate"
	"metahub/tenant"
)

func newTrust(s *settings) *cobra.Command {
	remove := false
	c := &cobra.Command{
		Use:   "trust",
		Short: "Let this machine's browsers accept the local certificates",
		Long: `Trust puts the root of MetaHub's local certificate authority into the trust stores of this machine and of its browsers,
so that https://anastasia.localhost:8443 opens without a warning. The root is made when there is none yet; its key
stays in the certificate folder. It needs the rights to change the machine's trust store, by root or sudo.`,
		Example: `  metahub trust
  metahub trust --remove`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return trust(s, remove) },
	}
	c.Flags().BoolVar(&remove, "remove", false, "take the root out of the trust stores again")
	return c
}

func trust(s *settings, remove bool) error {
	directory, faults := tenant.Load(s.source())
	if directory == nil {
		return fmt.Errorf("cannot tell the certificate folder: %w", faults)
	}
	settings := directory.Gateway().Certificates
	if remove {
		if err := certificate.Untrust(settings.Folder); err != nil {
			return err
		}
		fmt.Fprintln(s.process.Stdout, "the local authority is no longer trusted on this machine")
		return nil
	}
	if err := certificate.Trust(settings); err != nil {
		return err
	}
	fmt.Fprintf(s.process.Stdout, "the local authority in %s is trusted on this machine; restart browsers that are open\n", settings.Folder)
	return nil
}

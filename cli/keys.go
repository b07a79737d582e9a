package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"metahub/tenant"
)

func newKeys(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Manage the keys that sign a tenant's tokens",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say what to do: metahub keys rotate --help")}
		},
	}
	c.AddCommand(newKeysRotate(s))
	return c
}

func newKeysRotate(s *settings) *cobra.Command {
	forget := false
	c := &cobra.Command{
		Use:   "rotate TENANT",
		Short: "Make a new key for a tenant's tokens; nobody is signed out",
		Long: `Rotate makes the key that signs a tenant's tokens from now on, in the data folder, where a running server takes it
over within seconds. The three keys before it still verify. It is for keys that were made here; where tenants.yaml
declares a jwt_secret, write a new one there, and the old one into jwt_previous.`,
		Example: `  metahub keys rotate anastasia
  metahub keys rotate anastasia --forget     # a key has leaked: what it signed is void`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("keys rotate needs one TENANT")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return rotateKeys(s, args[0], forget) },
	}
	c.Flags().BoolVar(&forget, "forget", false, "void what former keys have signed, too")
	return c
}

func rotateKeys(s *settings, slug string, forget bool) error {
	opened, err := tenant.Open(s.source(), zap.NewNop())
	if err != nil {
		return err
	}
	current := opened.Registry().Current()
	t, ok := current.Tenant([]byte(slug))
	if !ok {
		return fmt.Errorf("no tenant %q in %s; metahub check lists the tenants", slug, s.config)
	}
	if err := tenant.RotateSecret(current.Gateway().Data, t, forget); err != nil {
		return fmt.Errorf("tenant %q: %w", slug, err)
	}
	fmt.Fprintf(s.process.Stdout, "tenant %q has a new key\n", slug)
	return nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"metahub/gateway/certificate"
	"metahub/tenant"
)

func newCertsAdopt(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "adopt PATH…",
		Short: "Take over certificates that another program has obtained",
		Long: `Adopt copies certificates and their keys into MetaHub's storage, while a server runs or not: from certbot (/etc/letsencrypt
or its live folder), acme.sh (~/.acme.sh), Caddy's data folder, Traefik's acme.json, lego, and PEM files in folders. It changes nothing at
its source. Run it as the user that MetaHub runs as, who must be able to read what it writes. A running server serves them within seconds and renews them when they are due, spread out. It says what it took, and why it
could not read what it left.`,
		Example: `  metahub certs adopt /etc/letsencrypt
  metahub certs adopt ~/.acme.sh /etc/nginx/ssl
  metahub certs adopt acme.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("say where the certificates are: metahub certs adopt /etc/letsencrypt")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return adopt(c.Context(), s, args) },
	}
}

func adopt(ctx context.Context, s *settings, paths []string) error {
	directory, faults := tenant.Load(s.source())
	if directory == nil {
		return fmt.Errorf("cannot tell the certificate storage: %w", faults)
	}
	adoption, err := certificate.Adopt(ctx, directory, paths, time.Now())
	writeAdoption(s.process.Stdout, adoption)
	if err != nil {
		return err
	}
	if len(adoption.Taken) == 0 && len(adoption.Left) > 0 {
		return errSaid
	}
	return nil
}

func writeAdoption(w io.Writer, a certificate.Adoption) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(a.Taken) > 0 {
		fmt.Fprintln(table, "DOMAIN\tEXPIRES\tRENEWS\tFROM")
	}
	for _, t := range a.Taken {
		from := t.From
		if !t.Listed {
			from += " (no tenant lists the domain yet)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Domain, t.NotAfter.UTC().Format(time.DateOnly), t.RenewAt.UTC().Format(time.DateOnly), from)
	}
	_ = table.Flush()
	if len(a.Left) > 0 {
		fmt.Fprintln(w, "\nNot taken:")
	}
	for _, left := range a.Left {
		fmt.Fprintf(w, "  %q: %s\n", left.Path, left.Reason)
	}
	fmt.Fprintf(w, "\n%s taken over, %s left\n", count(len(a.Taken), "certificate"), grouped(len(a.Left)))
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"metahub/admin"
)

// certsTimeout bounds an answer about certificates.
const certsTimeout = 30 * time.Second

// certsOptions is what metahub certs shows.
type certsOptions struct {
	json  bool
	state string
}

func newCerts(s *settings) *cobra.Command {
	o := certsOptions{}
	c := &cobra.Command{
		Use:   "certs",
		Short: "Show each domain's certificate, and what is in the way of those that are missing",
		Long: `Certs asks the running MetaHub, at its admin address, about the certificate of each domain: where it comes from, when it
expires, and for one that is missing why, and what to write to the domain's owner.

The states: waiting for DNS (the domain does not lead here yet; nothing was ordered), queued, ordering, active, failing (the certificate
authority said no; tried again by itself), left (the domain led here once; it is not renewed).`,
		Example: `  metahub certs
  metahub certs --state waiting-for-dns
  metahub certs --json | jq '.[] | select(.state == "failing")'
  metahub certs retry                      # try all that wait now, after DNS was mended
  metahub certs renew ensotek.de
  metahub certs adopt /etc/letsencrypt     # take over what certbot has obtained`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return certs(c.Context(), s, o) },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	c.Flags().StringVar(&o.state, "state", "", "show only domains in this `state`, like failing or waiting-for-dns")
	c.AddCommand(newCertsRenew(s), newCertsRetry(s), newCertsAdopt(s))
	return c
}

func certs(ctx context.Context, s *settings, o certsOptions) error {
	ctx, cancel := context.WithTimeout(ctx, certsTimeout)
	defer cancel()
	body, err := s.askAdmin(ctx, http.MethodGet, "/certs?"+url.Values{"state": {o.state}}.Encode())
	if refusal, ok := errors.AsType[*adminRefusal](err); ok && refusal.code == http.StatusBadRequest {
		return usageError{errors.New(strings.TrimSpace(refusal.body))}
	}
	if err != nil {
		return err
	}
	if o.json {
		_, err := s.process.Stdout.Write(body)
		return err
	}
	var list []admin.Certificate
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("the admin address answered with something else than certificates: %w", err)
	}
	writeCertificates(s.process.Stdout, list, time.Now())
	return nil
}

// writeCertificates writes one aligned row a domain, and how many there are of each state.
func writeCertificates(w io.Writer, list []admin.Certificate, now time.Time) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DOMAIN\tTENANT\tSTATE\tISSUER\tEXPIRES\tNEXT")
	counts := map[string]int{}
	for _, c := range list {
		counts[c.State]++
		expires := "-"
		if !c.NotAfter.IsZero() {
			expires = c.NotAfter.UTC().Format(time.DateOnly)
		}
		slug := c.Tenant
		if slug == "" {
			slug = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Host, slug, c.State, c.Issuer, expires, nextOf(c, now))
	}
	_ = table.Flush()
	states := make([]string, 0, len(counts))
	for state, n := range counts {
		states = append(states, grouped(n)+" "+state)
	}
	slices.Sort(states)
	fmt.Fprintf(w, "\n%s: %s\n", count(len(list), "domain"), strings.Join(states, ", "))
}

// nextOf is what happens next to a domain's certificate.
func nextOf(c admin.Certificate, now time.Time) string {
	switch {
	case c.Fault != "":
		return c.Fault
	case c.Position > 0:
		return strings.TrimSuffix(fmt.Sprintf("position %s, in about %s: %s", grouped(c.Position), span(c.ETA.Sub(now)), c.Error), ": ")
	case c.Error != "" && !c.NextTry.IsZero():
		return c.Error + " (next try in " + span(c.NextTry.Sub(now)) + ")"
	case c.Error != "":
		return c.Error
	case !c.RenewAt.IsZero():
		return "renews " + c.RenewAt.UTC().Format(time.DateOnly)
	case c.Source == "file":
		return "put in a renewed one before it expires"
	}
	return "signed again by itself"
}

// span is a duration as people say it: "2 h 8 min", "5 min", "20 s".
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return "a moment"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

func newCertsRenew(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "renew HOST",
		Short:   "Order a domain's certificate now, although the present one is good",
		Long:    `Renew puts the domain at the front of the queue. The present certificate serves until the new one is there.`,
		Example: `  metahub certs renew ensotek.de`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("say which domain: metahub certs renew ensotek.de")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), certsTimeout)
			defer cancel()
			_, err := s.askAdmin(ctx, http.MethodPost, "/certs/renew?"+url.Values{"host": {args[0]}}.Encode())
			if refusal, ok := errors.AsType[*adminRefusal](err); ok && refusal.code == http.StatusNotFound {
				return errors.New(strings.TrimSpace(refusal.body))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(s.process.Stdout, "%s is ordered now; metahub certs shows how it goes\n", args[0])
			return nil
		},
	}
}

func newCertsRetry(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "retry [HOST…]",
		Short: "Try domains now that wait after a failure, all of them or those named",
		Long:  `Retry is for after a mend: a DNS record was corrected, a port was opened. Without it the domains are tried again within minutes.`,
		Example: `  metahub certs retry
  metahub certs retry ensotek.de www.ensotek.de`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), certsTimeout)
			defer cancel()
			body, err := s.askAdmin(ctx, http.MethodPost, "/certs/retry?"+url.Values{"host": args}.Encode())
			if err != nil {
				return err
			}
			var answer struct{ Woken int }
			if err := json.Unmarshal(body, &answer); err != nil {
				return fmt.Errorf("the admin address answered with something else: %w", err)
			}
			fmt.Fprintf(s.process.Stdout, "%s tried now\n", count(answer.Woken, "domain"))
			return nil
		},
	}
}

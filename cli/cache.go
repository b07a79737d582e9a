package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"metahub/gateway/cache"
)

// purgeTimeout bounds a purge.
const purgeTimeout = 30 * time.Second

// purgeOptions say what metahub cache purge drops.
type purgeOptions struct{ tenant, url, prefix string }

func newCache(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Drop what the running MetaHub keeps of a site's answers",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("say what to do: metahub cache purge --help")}
		},
	}
	c.AddCommand(newCachePurge(s))
	return c
}

func newCachePurge(s *settings) *cobra.Command {
	o := purgeOptions{}
	c := &cobra.Command{
		Use:   "purge --tenant SLUG",
		Short: "Drop the answers that are kept for a URL, a prefix or a whole tenant",
		Long: `Purge asks the running MetaHub, at its admin address, to drop answers of a tenant's frontend and backend, and says how many they were. An
answer that is on its way at that moment is not kept either. A path without a host means that path on each of the tenant's hosts.`,
		Example: `  metahub cache purge --tenant ensotek
  metahub cache purge --tenant ensotek --url https://ensotek.de/news
  metahub cache purge --tenant ensotek --prefix /blog/`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			query, err := o.query(c)
			if err != nil {
				return usageError{err}
			}
			return purge(c.Context(), s, query)
		},
	}
	c.Flags().StringVar(&o.tenant, "tenant", "", "the `slug` of the tenant (required)")
	c.Flags().StringVar(&o.url, "url", "", "drop the answers of this `URL`, or path on each of the tenant's hosts")
	c.Flags().StringVar(&o.prefix, "prefix", "", "drop the answers of every URL that begins with this `URL` or path")
	return c
}

// query says it to the admin address. An empty value, as of a variable that is not set, does not stand for everything.
func (o *purgeOptions) query(c *cobra.Command) (url.Values, error) {
	if o.tenant == "" {
		return nil, errors.New("say whose answers: --tenant SLUG")
	}
	query := url.Values{"tenant": {o.tenant}}
	for name, value := range map[string]string{"url": o.url, "prefix": o.prefix} {
		switch {
		case !c.Flags().Changed(name):
		case value == "":
			return nil, fmt.Errorf("--%s is empty: write a URL, or leave the flag out for all of the tenant's answers", name)
		default:
			query.Set(name, value)
		}
	}
	if len(query) > 2 {
		return nil, errors.New("write --url or --prefix, not both")
	}
	return query, nil
}

func purge(ctx context.Context, s *settings, query url.Values) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	body, err := s.askAdmin(ctx, http.MethodPost, "/cache/purge?"+query.Encode())
	if refusal, ok := errors.AsType[*adminRefusal](err); ok && (refusal.code == http.StatusBadRequest || refusal.code == http.StatusNotFound) {
		return errors.New(strings.TrimSpace(refusal.body))
	}
	if err != nil {
		return err
	}
	var answer struct{ Purged int }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("the admin address answered with something else: %w", err)
	}
	fmt.Fprintf(s.process.Stdout, "%s dropped\n", count(answer.Purged, "answer"))
	return nil
}

// answers tells the admin pages about the cache.
type answers struct{ *cache.Cache }

// Purge implements admin.Cache.
func (a answers) Purge(slug, url, prefix string) (int, error) {
	var selection cache.Selection
	var err error
	switch {
	case url != "":
		selection, err = cache.SelectURL(url)
	case prefix != "":
		selection, err = cache.SelectPrefix(prefix)
	}
	if err != nil {
		return 0, err
	}
	return a.Cache.Purge(slug, selection)
}

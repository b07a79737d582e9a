package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"metahub/api"
	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

func newModels(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "Check the resources of the API, and bring databases in line with them",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say what to do: metahub models check, or metahub models apply")}
		},
	}
	c.AddCommand(newModelsCheck(s), newModelsApply(s))
	return c
}

func newModelsCheck(s *settings) *cobra.Command {
	folder := ""
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the models, or what they would serve",
		Long: `Check reads the models and starts nothing. It prints every fault with file and line, and what would work but not
well: a public list that no index answers. With either it exits with 1; else it prints a table of all resources
and exits with 0.`,
		Example: `  metahub models check
  metahub models check --folder models.new`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return checkModels(s, folder) },
	}
	c.Flags().StringVar(&folder, "folder", "", "the `folder` of the models (default: gateway.models of tenants.yaml, else the built-in ones)")
	return c
}

func checkModels(s *settings, folder string) error {
	files, name, err := s.modelFiles(folder)
	if err != nil {
		return err
	}
	out := s.process.Stdout
	set, err := api.LoadModels(files)
	if err != nil {
		fmt.Fprintf(out, "%v\n\n%s: not to be served\n", err, name)
		return errSaid
	}
	if lints := set.Lint(); len(lints) > 0 {
		fmt.Fprintf(out, "%v\n\n%s: %s\n", lints, name, count(len(lints), "slow list"))
		return errSaid
	}
	writeModels(out, set)
	fmt.Fprintf(out, "\n%s in %s: no fault\n", count(len(set.All()), "model"), name)
	return nil
}

// modelFiles returns the models that a server would serve, or those of a folder, and what they are called.
func (s *settings) modelFiles(folder string) (fs.FS, string, error) {
	if folder == "" {
		opened, err := tenant.Open(s.source(), zap.NewNop())
		if err != nil {
			return nil, "", err
		}
		folder = opened.Registry().Current().Gateway().Models
	}
	if folder == "" {
		return nil, "the built-in models", nil
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, "", err
	}
	return os.DirFS(folder), folder, nil
}

// writeModels writes one aligned row a model.
func writeModels(w io.Writer, set *model.Set) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MODEL\tROUTE\tCOLLECTION\tPUBLIC\tINDEXES")
	for _, m := range set.All() {
		public := "no"
		if m.Public != nil {
			public = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", m.Name, m.Routes[0], m.Collection, public, len(m.Indexes))
	}
	_ = table.Flush()
}

// applyTimeout bounds the work on one tenant's database.
const applyTimeout = 30 * time.Minute

func newModelsApply(s *settings) *cobra.Command {
	slug := ""
	c := &cobra.Command{
		Use:   "apply",
		Short: "Create the indexes of all models in the tenants' databases",
		Long: `Apply creates the indexes that the models declare, in the database of each tenant or of one, and completes documents
that other programs have written: with slugs, and with the words that the search finds. It may be run again at any
time, while a server runs or not. A unique index over documents that are not unique is reported and left out.`,
		Example: `  metahub models apply
  metahub models apply --tenant anastasia`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return applyModels(c.Context(), s, slug) },
	}
	c.Flags().StringVar(&slug, "tenant", "", "only the tenant with this `slug`")
	return c
}

func applyModels(ctx context.Context, s *settings, slug string) error {
	opened, err := tenant.Open(s.source(), zap.NewNop())
	if err != nil {
		return err
	}
	registry := opened.Registry()
	tenants := registry.Current().Tenants()
	if slug != "" {
		t, ok := registry.Current().Tenant([]byte(slug))
		if !ok {
			return fmt.Errorf("no tenant %q in %s; metahub check lists the tenants", slug, s.config)
		}
		tenants = []*tenant.Tenant{t}
	}
	gateway := registry.Current().Gateway()
	databases := store.New(store.Config{Data: gateway.Data})
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), partTimeout)
		defer cancel()
		_ = databases.Close(closing)
	}()
	resources, err := api.New(api.Config{Store: databases, Registry: registry, Models: models(gateway)})
	if err != nil {
		return err
	}
	return applyAll(ctx, s, resources, tenants)
}

// applyAll goes on with the next tenant when one fails, and says at the end that one has.
func applyAll(ctx context.Context, s *settings, resources *api.API, tenants []*tenant.Tenant) error {
	out, failed := s.process.Stdout, 0
	for _, t := range tenants {
		ctx, cancel := context.WithTimeout(ctx, applyTimeout)
		done, err := resources.ApplyModels(ctx, t, func(line string) { fmt.Fprintln(out, line) })
		cancel()
		if err != nil || done.Refused > 0 {
			failed++
		}
		if err != nil {
			fmt.Fprintln(out, err)
			continue
		}
		fmt.Fprintf(out, "%s: indexes: %d there, %d refused; %s completed\n", t.Slug, done.Indexes, done.Refused, count(done.Filled, "document"))
	}
	if failed > 0 {
		fmt.Fprintf(out, "\n%s not in line with the models\n", count(failed, "tenant"))
		return errSaid
	}
	return nil
}

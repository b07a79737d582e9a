package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"metahub/api"
	"metahub/store"
	"metahub/tenant"
)

// userTimeout bounds the whole of adding a user, the first index of the collection included.
const userTimeout = 30 * time.Second

// userOptions is who is to be added.
type userOptions struct{ tenant, name, email, role string }

func newUser(s *settings) *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Manage the users of a tenant",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say what to do: metahub user add --help")}
		},
	}
	c.AddCommand(newUserAdd(s))
	return c
}

func newUserAdd(s *settings) *cobra.Command {
	o := userOptions{}
	c := &cobra.Command{
		Use:   "add",
		Short: "Add a user who can sign in at a tenant's API",
		Long: `Add makes a user in the tenant's own database, while a server runs or not. It reads the password from standard input, and
asks for it on a terminal; it is never an argument, because every user of the machine can read those.`,
		Example: `  metahub user add --tenant anastasia --email ada@example.com
  echo "$PASSWORD" | metahub user add --tenant anastasia --email ada@example.com --role admin`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return addUser(c.Context(), s, o) },
	}
	c.Flags().StringVar(&o.tenant, "tenant", "", "the `slug` of the tenant (required)")
	c.Flags().StringVar(&o.email, "email", "", "the `address` to sign in with (required)")
	c.Flags().StringVar(&o.name, "name", "", "the `name` to show (default: the address)")
	c.Flags().StringVar(&o.role, "role", "admin", "the `role`: admin and superadmin may write")
	return c
}

func addUser(ctx context.Context, s *settings, o userOptions) error {
	if o.tenant == "" || o.email == "" {
		return usageError{errors.New("user add needs --tenant SLUG and --email ADDRESS")}
	}
	if o.name == "" {
		o.name = o.email
	}
	opened, err := tenant.Open(s.source(), zap.NewNop())
	if err != nil {
		return err
	}
	registry := opened.Registry()
	t, ok := registry.Current().Tenant([]byte(o.tenant))
	if !ok {
		return fmt.Errorf("no tenant %q in %s; metahub check lists the tenants", o.tenant, s.config)
	}
	password, err := s.readPassword()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, userTimeout)
	defer cancel()
	databases := store.New(store.Config{Data: registry.Current().Gateway().Data})
	err = createUser(ctx, databases, registry, t, o, password)
	if err = errors.Join(err, databases.Close(ctx)); err != nil {
		return err
	}
	fmt.Fprintf(s.process.Stdout, "added %s %q at tenant %q\n", o.role, o.email, t.Slug)
	return nil
}

func createUser(ctx context.Context, databases *store.Store, registry *tenant.Registry, t *tenant.Tenant, o userOptions, password string) error {
	resources, err := api.New(api.Config{Store: databases, Registry: registry, Models: models(registry.Current().Gateway())})
	if err != nil {
		return err
	}
	return refusalOf(resources.CreateUser(ctx, t, o.name, o.email, password, o.role))
}

// refusalOf says in one sentence why the API refused a user.
func refusalOf(err error) error {
	var refusal *api.Error
	if !errors.As(err, &refusal) {
		return err
	}
	reasons := []string{strings.TrimSuffix(refusal.Message, ".")}
	if len(refusal.Issues) > 0 {
		reasons = reasons[:0]
	}
	for _, issue := range refusal.Issues {
		reasons = append(reasons, issue.Path+" "+issue.Message)
	}
	return fmt.Errorf("the user is not added: %s", strings.Join(reasons, "; "))
}

// readPassword takes the first line of standard input, or asks on a terminal without showing what is typed.
func (s *settings) readPassword() (string, error) {
	if file, ok := s.process.Stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(s.process.Stderr, "Password: ")
		password, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(s.process.Stderr)
		return string(password), err
	}
	line, err := bufio.NewReader(io.LimitReader(s.process.Stdin, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("no password: write it to standard input")
	}
	return line, nil
}

// Package cli is the command line of MetaHub, one file a command, and the switchboard that builds the parts of a server and ties them
// together.
//
//	os.Exit(cli.Main(cli.Process{Args: os.Args[1:], …}))
//
// Nothing else in MetaHub ends the process, reads its arguments or writes to its standard output.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Process is what the operating system hands to a program; tests hand over something smaller.
type Process struct {
	Args    []string // without the program's name
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Signals delivers SIGTERM and SIGINT, which stop a server, and SIGHUP, which makes it read tenants.yaml again.
	Signals <-chan os.Signal
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it could not be done; standard error says why
	exitUsage = 2 // the command line makes no sense
)

// errSaid ends a command with exitError when it has already told what is wrong.
var errSaid = errors.New("said already")

// usageError is a command line that makes no sense.
type usageError struct{ error }

// Main runs one command and returns the exit code.
func Main(p Process) int {
	root := newRoot(p)
	root.SetArgs(p.Args)
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSaid):
		return exitError
	case errors.As(err, &usage):
		fmt.Fprintln(p.Stderr, "metahub:", usage)
		return exitUsage
	}
	fmt.Fprintln(p.Stderr, "metahub:", err)
	return exitError
}

func newRoot(p Process) *cobra.Command {
	s := &settings{process: p}
	root := &cobra.Command{
		Use: "metahub",
		Long: `MetaHub is one process in front of many tenants. It reads tenants.yaml, ends TLS for every tenant's domains,
writes the tenant's name into X-Tenant, answers /api/… from the tenant's own database and hands everything else
to the tenant's frontend. Without a command it serves; see metahub serve --help.

Each setting of the gateway can also come from the environment, METAHUB_ and the key with "_" for ".":
METAHUB_GATEWAY_HTTPS=:443 sets gateway.https. METAHUB_CONFIG, METAHUB_LOG_LEVEL and METAHUB_LOG_FORMAT stand for
the flags below. A flag wins over the environment, the environment over the file.`,
		Example: `  metahub                                  # serve ./tenants.yaml
  metahub check                            # say what is wrong with it, or what it would serve
  metahub --config /etc/metahub/tenants.yaml --https :443 --http :80
  METAHUB_GATEWAY_HTTPS=:443 METAHUB_GATEWAY_HTTP=:80 metahub   # the addresses by the environment
  metahub trust                            # let this machine's browsers accept the local certificates
  echo "$PASSWORD" | metahub user add --tenant anastasia --email ada@example.com`,
		Args:                       noArguments,
		RunE:                       func(*cobra.Command, []string) error { return serve(s) },
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE:          func(c *cobra.Command, _ []string) error { return s.fromEnvironment(c.Flags()) },
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())}
	})
	root.Flags().SortFlags, root.PersistentFlags().SortFlags = false, false
	s.register(root.PersistentFlags())
	root.AddCommand(newServe(s), newCheck(s), newCerts(s), newCache(s), newTrust(s), newHealth(s), newUser(s), newKeys(s), newModels(s), newVersion(s))
	return root
}

// noArguments refuses what is left on the command line beside flags, which is a mistyped command more often than not.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := c.CommandPath() + " --help lists the commands"
	if alike := c.SuggestionsFor(args[0]); len(alike) > 0 {
		hint = fmt.Sprintf("did you mean %q?", strings.Join(alike, `" or "`))
	}
	return usageError{fmt.Errorf("unknown command %q for %q; %s", args[0], c.CommandPath(), hint)}
}

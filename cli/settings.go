package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"metahub/tenant"
)

// settings are the flags that every command has.
type settings struct {
	process   Process
	config    string
	logLevel  string
	logFormat string
	gateway   *pflag.FlagSet // the flags that stand for keys of tenants.yaml, by their keys
}

// gatewayFlags name the keys of tenants.yaml that have a flag.
var gatewayFlags = []struct{ flag, key, usage string }{
	{"https", "gateway.https", "that serves HTTPS, like :443"},
	{"http", "gateway.http", "that redirects plain HTTP to HTTPS, like :80, or off"},
	{"admin", "gateway.admin", "of status page, health and metrics, like 127.0.0.1:9180"},
}

func (s *settings) register(flags *pflag.FlagSet) {
	flags.StringVar(&s.config, "config", "tenants.yaml", "the `file` that names gateway and tenants; paths in it are relative to it")
	flags.StringVar(&s.logLevel, "log-level", "info", "least important `level` that is logged: debug, info, warn or error")
	flags.StringVar(&s.logFormat, "log-format", "auto", "`format` of the log: json, console, or auto (console on a terminal)")
	s.gateway = pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	for _, g := range gatewayFlags {
		value := new(string)
		flags.StringVar(value, g.flag, "", "the `address` "+g.usage+"; wins over "+g.key+" in the file")
		s.gateway.StringVar(value, g.key, "", g.usage)
	}
}

// fromEnvironment gives METAHUB_CONFIG, METAHUB_LOG_LEVEL and METAHUB_LOG_FORMAT to the flags that the command line left out, and hands
// the gateway's flags on under their keys.
func (s *settings) fromEnvironment(flags *pflag.FlagSet) error {
	for _, name := range []string{"config", "log-level", "log-format"} {
		variable := "METAHUB_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		value := lookup(s.process.Environ, variable)
		if value == "" || flags.Changed(name) {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return usageError{fmt.Errorf("%s: %w", variable, err)}
		}
	}
	for _, g := range gatewayFlags {
		if !flags.Changed(g.flag) {
			continue
		}
		if err := s.gateway.Set(g.key, flags.Lookup(g.flag).Value.String()); err != nil {
			return usageError{fmt.Errorf("--%s: %w", g.flag, err)}
		}
	}
	return nil
}

// source is where tenants come from, for the tenant package.
func (s *settings) source() tenant.Source {
	return tenant.Source{Path: s.config, Flags: s.gateway, Environ: s.process.Environ}
}

// lookup returns the last value that an environment gives a variable, or "": an empty variable counts as unset.
func lookup(environ []string, variable string) (value string) {
	for _, entry := range environ {
		if v, ok := strings.CutPrefix(entry, variable+"="); ok {
			value = v
		}
	}
	return value
}

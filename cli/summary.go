package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"metahub/tenant"
)

// tenantsShown keeps the summary on one screen; faultsShown likewise.
const (
	tenantsShown = 20
	faultsShown  = 10
)

// writeSummary tells the person who started the server what it serves, and what to try next.
func (s *server) writeSummary(w io.Writer) {
	directory := s.reloads.Registry().Current()
	tenants := directory.Tenants()
	https := s.httpsAddress()

	fmt.Fprintf(w, "MetaHub %s serves %s from %s\n\n", version(), count(len(tenants), "tenant"), s.source.Path)
	writeTenants(w, tenants[:min(tenantsShown, len(tenants))], https)
	if hidden := len(tenants) - tenantsShown; hidden > 0 {
		fmt.Fprintf(w, "… and %s more; metahub check lists all\n", grouped(hidden))
	}
	writeFaults(w, s.reloads.Verdict())
	fmt.Fprintln(w)
	s.writeAddresses(w, directory, https)
}

func writeFaults(w io.Writer, verdict tenant.Verdict) {
	if len(verdict.Faults) == 0 {
		return
	}
	fmt.Fprintln(w, "\nTo be mended; until then these tenants are served as they last were good, or left out:")
	for _, fault := range verdict.Faults[:min(faultsShown, len(verdict.Faults))] {
		fmt.Fprintf(w, "  %s\n", fault)
	}
	if hidden := len(verdict.Faults) - faultsShown; hidden > 0 {
		fmt.Fprintf(w, "  … and %s more; metahub check lists all\n", grouped(hidden))
	}
}

func (s *server) writeAddresses(w io.Writer, directory *tenant.Directory, https string) {
	root := shellWord(relative(s.keeper.RootPath()))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if hosts := directory.Gateway().APIHosts; len(hosts) > 0 {
		fmt.Fprintf(table, "Shared API\thttps://%s%s/api/, where X-Tenant names the tenant\n", hosts[0], portSuffix(https))
	}
	fmt.Fprintf(table, "Status page\thttp://%s/\n", clientAddress(directory.Gateway().Admin, s.admin.Addr()))
	fmt.Fprintf(table, "Local CA\t%s, which metahub trust makes browsers accept\n", root)
	if s.demo != "" {
		fmt.Fprintf(table, "Demo sign-in\tthe passwords are in %s\n", relative(s.demo))
	}
	if host := hostToTry(directory); host != "" {
		authority := host + portSuffix(https)
		address, port, _ := net.SplitHostPort(https)
		if strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		fmt.Fprintf(table, "Try\tcurl --cacert %s --resolve %s:%s:%s https://%s/api/settings\n", root, host, port, address, authority)
	}
	_ = table.Flush()
}

// hostToTry is the first host that can be asked for: of a tenant that is served, and no wildcard.
func hostToTry(directory *tenant.Directory) string {
	for _, t := range directory.Tenants() {
		if t.Enabled && len(t.Domains) > 0 && !strings.HasPrefix(t.Domains[0], "*.") {
			return t.Domains[0]
		}
	}
	return ""
}

// clientAddress is where to connect to a listener that was asked for as configured. The system calls all addresses "[::]" even where
// configured is ":8443"; then 127.0.0.1 is what works with and without IPv6.
func clientAddress(configured string, listener net.Addr) string {
	host, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		return listener.String()
	}
	if asked, _, err := net.SplitHostPort(configured); err == nil && asked == "" {
		host = ""
	}
	return net.JoinHostPort(dialable(host), port)
}

// relative shortens a path below the working folder, as a person there would write it.
func relative(path string) string {
	folder, err := os.Getwd()
	if err != nil || folder == filepath.Dir(folder) { // below the root every path is, as in a container
		return path
	}
	short, err := filepath.Rel(folder, path)
	if err != nil || !filepath.IsLocal(short) {
		return path
	}
	return short
}

// shellWord quotes a word for a POSIX shell where it must be.
func shellWord(word string) string {
	safe := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

package cli

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"text/tabwriter"

	"metahub/tenant"
)

// writeTenants writes one aligned row a tenant. https is the address that the URLs lead to.
func writeTenants(w io.Writer, tenants []*tenant.Tenant, https string) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TENANT\tURL\tFRONTEND\tDATABASE")
	for _, t := range tenants {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Slug, urlOf(t, https), t.Frontend, databaseOf(t))
	}
	_ = table.Flush()
}

// urlOf is where a browser finds a tenant; a wildcard is shown as such.
func urlOf(t *tenant.Tenant, https string) string {
	switch {
	case !t.Enabled:
		return "disabled"
	case len(t.Domains) == 0:
		return "no domain"
	}
	return "https://" + t.Domains[0] + portSuffix(https)
}

func databaseOf(t *tenant.Tenant) string {
	if t.Database.Embedded() {
		return "embedded: " + t.Database.Name
	}
	return "MongoDB: " + t.Database.Name
}

// portSuffix is what a URL needs after the host to reach an https listen address.
func portSuffix(address string) string {
	port := portOf(address)
	if port == "443" {
		return ""
	}
	return ":" + port
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port == "https" {
		return "443"
	}
	return port
}

// count is a number with its noun: "1 tenant", "10,000 tenants".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// grouped writes n with a comma after each three digits.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

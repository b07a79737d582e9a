package tenant

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong in what an administrator wrote: where it is, whose it is, and what to do about it. It never holds
// a secret.
type Fault struct {
	// File is the file's path as it was opened, or the name of the flag or environment variable that holds the value.
	File string
	// Line counts from 1; 0 means the whole file.
	Line int
	// Tenant is the slug of the tenant at fault; empty for a fault outside the tenants.
	Tenant string
	// Message says what is wrong and what to write instead.
	Message string
}

// String is the fault on one line: `tenants.yaml:14: tenant "ensotek": domain "ensotek.de" already belongs to "radanor" (line 8)`.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(f.Line))
	}
	b.WriteString(": ")
	if f.Tenant != "" {
		b.WriteString("tenant ")
		b.WriteString(strconv.Quote(f.Tenant))
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is every fault of one load, in the order of files and lines. It is an error when it is not empty.
type Faults []Fault

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders faults by file and line, so that equal input gives equal output.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

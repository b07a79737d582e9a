package model

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is something wrong with a model file.
type Fault struct {
	File    string
	Line    int // 0: the file as a whole
	Message string
}

// String is the fault as compilers write it, "products.yaml:14: …".
func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// Faults is every fault of one load, in the order of the files.
type Faults []Fault

// Error implements error: one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// source is one model file on its way to a Model. It collects faults, so that all are reported at once.
type source struct {
	file   string
	faults Faults
	defs   map[string]*shape // the schema's $defs that are in use; nil while one is being compiled
	shared *yaml.Node        // the folder's shared definitions, or nil
	links  []*link           // references to other models
}

func (s *source) fault(at *yaml.Node, format string, args ...any) {
	line := 0
	if at != nil {
		line = at.Line
	}
	s.faults = append(s.faults, Fault{s.file, line, fmt.Sprintf(format, args...)})
}

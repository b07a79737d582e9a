package tenant

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds every file that is read; 100,000 tenants take about 25 MiB.
const maxFileSize = 64 << 20

// document is one YAML file as a tree of nodes, each of which knows its line.
type document struct {
	path   string     // as it was opened, for messages
	folder string     // what its relative paths are relative to, absolute
	root   *yaml.Node // the top-level mapping
	lines  int
	whole  bool         // the last line is ended, which that of a file that was cut seldom is
	end    *declaration // the last tenant; nil until it is read, and where there is none
}

// parseDocument reads one YAML file that holds one mapping.
func parseDocument(path string, data []byte) (*document, *Fault) {
	fault := func(line int, format string, args ...any) (*document, *Fault) {
		return nil, &Fault{File: path, Line: line, Message: fmt.Sprintf(format, args...)}
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))) == 0 {
		return fault(0, "the file is empty: it needs at least tenants:")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var node, second yaml.Node
	switch err := decoder.Decode(&node); {
	case errors.Is(err, io.EOF):
		return fault(0, "the file holds only comments: it needs at least tenants:")
	case err != nil:
		line, message := syntaxFault(err, data)
		return fault(line, "%s", message)
	}
	if err := decoder.Decode(&second); err == nil {
		return fault(second.Line, "a second YAML document begins here: keep everything in one, without a line of ---")
	} else if !errors.Is(err, io.EOF) {
		line, message := syntaxFault(err, data)
		return fault(line, "%s", message)
	}
	root := node.Content[0]
	if root.Kind != yaml.MappingNode {
		return fault(root.Line, "the file is %s: it must be keys with values, such as tenants:", kindOf(root))
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return fault(0, "the folder of the file cannot be told: %v", err)
	}
	return &document{
		path:   path,
		folder: folder,
		root:   root,
		lines:  bytes.Count(bytes.TrimRight(data, "\n"), []byte("\n")) + 1,
		whole:  bytes.HasSuffix(bytes.TrimRight(data, "\x00"), []byte("\n")),
	}, nil
}

// name is a path of the document as the document itself was named, for opening it and for messages.
func (d *document) name(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(d.path), path)
}

// absolute is a path of the document for the other parts, which do not know where the document is.
func (d *document) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.folder, path)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// starInQuotes explains what comes of a wildcard domain without quotes.
const starInQuotes = "write a value that begins with * or & in quotes, like \"*.example.com\": without them YAML takes it for an alias"

// syntaxFault turns an error of the YAML parser into a line and a sentence that says what to do. It quotes nothing of the file.
func syntaxFault(err error, data []byte) (int, string) {
	text := err.Error()
	if anchor, ok := strings.CutPrefix(text, "yaml: unknown anchor '"); ok {
		anchor, _, _ = strings.Cut(anchor, "'")
		before, _, _ := bytes.Cut(data, []byte("*"+anchor))
		return bytes.Count(before, []byte("\n")) + 1, starInQuotes
	}
	m := yamlLine.FindStringSubmatch(text)
	if m == nil { // the library names no line where it is the first one
		m = []string{text, "0", strings.TrimPrefix(text, "yaml: ")}
	}
	line, _ := strconv.Atoi(m[1])
	if parserProblem(m[2]) {
		line = min(line+1, bytes.Count(data, []byte("\n"))+1) // the library counts these lines from 0, most of the time
	}
	switch tabbed := tabbedLine(data, line); {
	case tabbed > 0:
		return tabbed, "the line is indented with a tab: indent with spaces, YAML takes no tabs"
	case m[2] == "did not find expected alphabetic or numeric character":
		return line, starInQuotes
	case parserProblem(m[2]):
		return line, "the file is not YAML in the block that begins here (" + m[2] + "): look at the indentation, brackets and quotes below"
	}
	return line, "the file is not YAML here (" + m[2] + "): look at the quotes and colons of this line and the one before"
}

// parserProblem reports whether the parser and not the scanner of the YAML library gave the message.
func parserProblem(message string) bool {
	for _, end := range []string{"key", "node content", "'-' indicator", "',' or ']'", "',' or '}'", "<document start>", "<stream-start>"} {
		if message == "did not find expected "+end {
			return true
		}
	}
	return false
}

// tabbedLine returns the number of the line at or next to line that is indented with a tab, or 0.
func tabbedLine(data []byte, line int) int {
	lines := bytes.Split(data, []byte("\n"))
	for n := max(line-1, 1); n <= min(line+1, len(lines)); n++ {
		text := lines[n-1]
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if bytes.ContainsRune(indent, '\t') {
			return n
		}
	}
	return 0
}

// kindOf names what a node is, for "is a list".
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias (*name)"
	case n.ShortTag() == "!!null":
		return "without a value"
	}
	return "a single value"
}

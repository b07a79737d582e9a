package tenant

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxSecretSize bounds a file that holds one secret.
const maxSecretSize = 64 << 10

var (
	variable     = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// secretReader resolves the ways in which a secret may be written.
type secretReader struct {
	environ map[string]string
	resolve func(path string) string
	read    func(path string, limit int64) ([]byte, error)
}

// reveal returns the secret that text stands for: the content of "file:/path", the environment variable of "env:NAME", or text with
// each ${NAME} replaced. "$${" is a literal "${". Errors name variables and files and continue a sentence that begins with the key.
func (r secretReader) reveal(text string) (string, error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		return r.file(path)
	}
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		return r.variable(name, "env:"+name)
	}
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var failed error
	result := variable.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		name, closed := strings.CutSuffix(ref[2:], "}")
		if !closed {
			failed = errors.New("has a ${ without its }: close it, or write $${ for the characters themselves")
			return ""
		}
		revealed, err := r.variable(name, ref)
		if err != nil {
			failed = err
		}
		return revealed
	})
	if failed != nil {
		return "", failed
	}
	return result, nil
}

func (r secretReader) variable(name, ref string) (string, error) {
	if !variableName.MatchString(name) {
		return "", errors.New("names an environment variable that cannot be: write ${NAME} with letters, digits and \"_\"")
	}
	revealed, ok := r.environ[name]
	if !ok {
		return "", fmt.Errorf("names %s, which is not set: set the environment variable or correct its name", ref)
	}
	if revealed == "" {
		return "", fmt.Errorf("names %s, which is set but empty: give the environment variable a value", ref)
	}
	return revealed, nil
}

func (r secretReader) file(path string) (string, error) {
	if path == "" {
		return "", errors.New("names no file: write its path after \"file:\"")
	}
	path = r.resolve(path)
	data, err := r.read(path, maxSecretSize)
	if err != nil {
		return "", fmt.Errorf("names the file %q, which %w", path, err)
	}
	revealed := strings.TrimRight(string(data), "\r\n")
	if revealed == "" {
		return "", fmt.Errorf("names the file %q, which is empty: write the secret into it", path)
	}
	return revealed, nil
}

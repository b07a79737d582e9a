package tenant

import (
	"bytes"
	"errors"
	"strings"

	"github.com/joho/godotenv"
)

// dotenv is an .env.<tenant> file: its values by key, each with its line.
type dotenv map[string]value

// dollar stands in for "$" while a file is parsed: the library would expand $NAME, and the files of this kind were written for
// readers that do not, so a password with a "$" would silently change.
const dollar = "\ue000"

// parseDotenv reads KEY=value lines. Empty values count as absent. The library's own errors quote the file, so they are not passed on.
func parseDotenv(path string, data []byte) (dotenv, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	parsed, err := godotenv.UnmarshalBytes(bytes.ReplaceAll(data, []byte("$"), []byte(dollar)))
	if err != nil {
		return nil, errors.New("is not an .env file: write lines of KEY=value, with values that hold spaces or \"#\" in single quotes")
	}
	env := make(dotenv, len(parsed))
	for key, text := range parsed {
		if text != "" {
			env[key] = value{strings.ReplaceAll(text, dollar, "$"), place{path, lineOfKey(data, key)}}
		}
	}
	return env, nil
}

// lineOfKey finds the last line that sets key, which is the one that counts.
func lineOfKey(data []byte, key string) int {
	found := 0
	for i, line := range bytes.Split(data, []byte("\n")) {
		name, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(line)), "export "), "=")
		if ok && strings.TrimSpace(name) == key {
			found = i + 1
		}
	}
	return found
}

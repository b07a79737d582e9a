package tenant

import "fmt"

// defaultUploads is how many bytes of files are kept for a tenant of which nothing is said.
const defaultUploads = 1 << 30

// parseUploads reads how many bytes of files are kept; "off" keeps none.
func parseUploads(text string) (int64, error) {
	if text == "off" {
		return 0, nil
	}
	size, err := parseSize(text)
	if err != nil {
		return 0, fmt.Errorf("%w, or \"off\" to keep no files", err)
	}
	return size, nil
}

// uploads reads how many bytes of files are kept for the tenant.
func (e *entry) uploads() {
	v, ok := e.says(keyUploads, "")
	if !ok {
		return
	}
	size, err := parseUploads(v.text)
	if e.check(keyUploads, v.at, err) {
		e.tenant.Uploads = size
	}
}

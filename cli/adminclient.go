package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"metahub/admin"
)

// maxAdminAnswer bounds an answer; the certificates of 100,000 domains take some 40 MB.
const maxAdminAnswer = 256 << 20

// askAdmin sends a request to the running MetaHub's admin address and returns the answer's body. Any other status than one of success
// is an error with what the answer says.
func (s *settings) askAdmin(ctx context.Context, method, path string) ([]byte, error) {
	address, err := s.adminAddress()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return nil, fmt.Errorf("gateway.admin %q: %w", address, err)
	}
	request.Header.Set(admin.ControlHeader, "yes")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("no answer: %w; is metahub running, with this admin address?", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAdminAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s broke off: %w", request.URL, err)
	}
	if response.StatusCode >= 300 {
		return nil, &adminRefusal{url: request.URL.String(), status: response.Status, code: response.StatusCode, body: string(body)}
	}
	return body, nil
}

// adminRefusal is an answer other than success.
type adminRefusal struct {
	url, status, body string
	code              int
}

func (r *adminRefusal) Error() string {
	return fmt.Sprintf("%s answered %s:\n%s", r.url, r.status, r.body)
}

package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// classify turns whatever went wrong with the CA into an *Error. ctx is the order's, with its notes; doing says what was being done to the
// domain, empty when it was nothing.
func (a *ACME) classify(ctx context.Context, err error, doing string) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if why := context.Cause(ctx); why != nil && !errors.Is(why, errPatience) {
		// err need not be why: the CA may have answered, or closed, in the same moment.
		return newError(Local, fmt.Errorf("%w: %w", why, err), "the order was given up: %v", why)
	}
	status, wait := notesOf(ctx).read()
	if problem, ok := problemOf(err); ok {
		if problem.Status == 0 {
			problem.Status = status
		}
		return a.classifyProblem(problem, err, wait, doing)
	}
	switch {
	case isLate(err):
		return a.unavailable(plain(err), err)
	case status == http.StatusTooManyRequests:
		return a.rateLimited("too many requests", err, wait)
	case status >= 500:
		e := a.unavailable(fmt.Sprintf("it answered %d", status), err)
		e.RetryAfter = min(wait, maxRetryAfter)
		return e
	case status != 0:
		return a.unavailable(fmt.Sprintf("its answer, with status %d, makes no sense: %s", status, plain(err)), err)
	}
	return a.unavailable(plain(err), err)
}

// classifyProblem goes by the problem's type (RFC 8555 §6.7).
func (a *ACME) classifyProblem(problem acme.Problem, err error, wait time.Duration, doing string) *Error {
	detail := detailOf(problem)
	kind := strings.TrimPrefix(problem.Type, acme.ProblemTypeNamespace)
	if kind == "compound" && len(problem.Subproblems) > 0 {
		kind = strings.TrimPrefix(problem.Subproblems[0].Type, acme.ProblemTypeNamespace)
	}
	switch {
	case problem.Status >= 500, kind == "serverInternal", kind == "badNonce", problem.Status == http.StatusNotFound && doing == "":
		e := a.unavailable(fmt.Sprintf("it answered %d: %s", problem.Status, detail), err)
		e.RetryAfter = min(wait, maxRetryAfter)
		return e
	case problem.Status == http.StatusTooManyRequests, kind == "rateLimited":
		return a.rateLimited(detail, err, wait)
	case isAboutDomain(kind), doing != "" && kind != "accountDoesNotExist" && kind != "userActionRequired":
		if doing == "" {
			doing = "the order"
		}
		return newError(Rejected, err, "the CA %q rejected %s: %s", a.config.Name, doing, detail)
	case kind == "", kind == "about:blank": // a proxy's words, or a web server's, not an ACME server's
		return a.unavailable(fmt.Sprintf("it answered %d: %s", problem.Status, detail), err)
	}
	return newError(Refused, err, "the CA %q refused the request (%s): %s", a.config.Name, clip(kind, 60), detail)
}

// isAboutDomain reports problems that its owner or its DNS can mend, wherever in an order they come up.
func isAboutDomain(kind string) bool {
	switch kind {
	case "caa", "connection", "dns", "tls", "incorrectResponse", "rejectedIdentifier", "unsupportedIdentifier":
		return true
	}
	return false
}

func (a *ACME) rateLimited(detail string, err error, wait time.Duration) *Error {
	wait = min(wait, maxRetryAfter)
	until := ""
	if wait > 0 {
		until = "; it says to try again in " + span(wait)
	}
	e := newError(RateLimited, err, "the CA %q answered 429: %s%s", a.config.Name, detail, until)
	e.RetryAfter = wait
	return e
}

// span is a duration as people say it: "2 h", "1 h 30 min", "45 s".
func span(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", max(1, int(d.Seconds()+0.5)))
	}
	d = d.Round(time.Minute)
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	switch {
	case hours == 0:
		return fmt.Sprintf("%d min", minutes)
	case minutes == 0 || hours >= 24:
		return fmt.Sprintf("%d h", hours)
	}
	return fmt.Sprintf("%d h %d min", hours, minutes)
}

// problemOf finds a CA's problem in an error; acmez wraps both the value and, of an order, the pointer.
func problemOf(err error) (acme.Problem, bool) {
	var problem acme.Problem
	if errors.As(err, &problem) {
		return problem, true
	}
	var pointer *acme.Problem
	if errors.As(err, &pointer) && pointer != nil {
		return *pointer, true
	}
	return acme.Problem{}, false
}

func hasType(err error, kind string) bool {
	problem, ok := problemOf(err)
	return ok && problem.Type == kind
}

// detailOf are the CA's own words, or its status when it has none.
func detailOf(p acme.Problem) string {
	text := p.Detail
	for _, sub := range p.Subproblems {
		if len(text) > maxDetail {
			break
		}
		if sub.Detail != "" {
			text += "; " + sub.Detail
		}
	}
	if text = strings.TrimPrefix(clip(text, maxDetail), "; "); text != "" {
		return text
	}
	if p.Status != 0 && http.StatusText(p.Status) != "" {
		return http.StatusText(p.Status)
	}
	return "it gives no reason"
}

// plain is the innermost error that says something, without acmez's way to it.
func plain(err error) string {
	if isLate(err) {
		return "it does not answer in time"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner.Error() == "" {
			return clip(err.Error(), maxDetail)
		}
		err = inner
	}
}

func isLate(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, errPatience)
}

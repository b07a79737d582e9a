package issuer

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says whose turn it is after an error.
type Kind int

const (
	// Local: the storage, or the gateway's own end; it says nothing about CA or domain.
	Local Kind = iota
	// RateLimited: the CA wants no more for now, see RetryAfter.
	RateLimited
	// Rejected: the domain could not be proven, or the CA will not certify it. Its owner or its DNS has to change.
	Rejected
	// Unavailable: the CA is not there, is overloaded, or does not speak sense. Another CA may serve.
	Unavailable
	// Refused: account, EAB, profile or policy. The configuration has to change; trying again will not help.
	Refused
)

// String is the kind in one word.
func (k Kind) String() string {
	names := []string{"local", "rate limited", "rejected", "unavailable", "refused"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

// Error is why there is no certificate.
type Error struct {
	Kind Kind
	// RetryAfter is what the CA asks to wait, at most a week; zero when it does not say.
	RetryAfter time.Duration
	// Message is one sentence for an administrator: at most 500 bytes, no control characters, nothing secret.
	Message string
	// Orders is how many orders were spent on it, each with an authorization that failed; zero where none came to that.
	Orders int
	// Err is the cause, for a log.
	Err error
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrNoRenewalInfo is wrapped when a CA has no renewal information, for a certificate or at all (RFC 9773).
var ErrNoRenewalInfo = errors.New("the CA has no renewal information")

// What an error may hold.
const (
	maxMessage    = 500
	maxDetail     = 300
	maxRetryAfter = 7 * 24 * time.Hour
)

// newError makes an error whose message keeps its bounds, whoever wrote the words in it.
func newError(kind Kind, cause error, text string, args ...any) *Error {
	return &Error{Kind: kind, Message: clip(fmt.Sprintf(text, args...), maxMessage), Err: cause}
}

func (a *ACME) unavailable(text string, cause error) *Error {
	return newError(Unavailable, cause, "the CA %q does not work: %s", a.config.Name, text)
}

func (a *ACME) refused(text string, args ...any) *Error {
	return newError(Refused, nil, "the CA %q: %s", a.config.Name, fmt.Sprintf(text, args...))
}

// clip makes words from outside fit for a line: printable, one space between, at most limit bytes.
func clip(text string, limit int) string {
	text = text[:min(len(text), 4*limit)]
	text = strings.ToValidUTF8(text, "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(text) <= limit {
		return text
	}
	const more = "…"
	cut := limit - len(more)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimRight(text[:cut], " ") + more
}

package rehearsal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Fault is why a CA would refuse; it is an error as a pointer, *Fault, and definitive until somebody changes something.
type Fault struct {
	// Sentence is for the domain's owner. It is one line of printable text, whatever DNS and servers have answered.
	Sentence string
	// Elsewhere says that the name has no address, or none that is this server's.
	Elsewhere bool
}

// Error is the sentence.
func (f *Fault) Error() string { return f.Sentence }

// ErrInconclusive is wrapped when it could not be found out what a CA would see, because a resolver or this machine's own network gave
// no answer.
var ErrInconclusive = errors.New("the rehearsal found nothing out")

// inconclusive says why.
func inconclusive(format string, values ...any) error {
	return fmt.Errorf("%w: %w", ErrInconclusive, fmt.Errorf(format, values...))
}

// combine makes one verdict of several: all faults, so that the owner can mend them at once, else the first thing that stayed open.
func combine(verdicts ...error) error {
	var all *Fault
	var open error
	for _, verdict := range verdicts {
		var fault *Fault
		switch {
		case errors.As(verdict, &fault) && all == nil:
			copied := *fault
			all = &copied
		case errors.As(verdict, &fault):
			all.Sentence += "; " + fault.Sentence
			all.Elsewhere = all.Elsewhere || fault.Elsewhere
		case open == nil:
			open = verdict
		}
	}
	if all != nil {
		return all
	}
	return open
}

// maxQuote bounds what a sentence repeats of a foreign text.
const maxQuote = 100

// quoted makes a text from outside fit for a sentence.
func quoted(text string) string {
	if len(text) > maxQuote {
		return strconv.QuoteToASCII(text[:maxQuote] + "...")
	}
	return strconv.QuoteToASCII(text)
}

// named writes a domain name as sentences do, in backquotes. One that is not a plain host name is quoted.
func named(name string) string {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 || strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return quoted(name)
	}
	return "`" + name + "`"
}

// plain tells whether a character needs no quotes in a host name.
func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_*", c)
}

// list writes "a", "a and b", "a, b and c".
func list(items []string, word string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + word + " " + items[last]
}

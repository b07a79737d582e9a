package orders

import (
	"fmt"
	"strings"
)

// State is where a domain stands on its way to a certificate and with it. Its text is for people and for JSON.
type State string

// A domain goes from waiting, or at once, to queued, ordering and active, and round again when its certificate is to be renewed.
const (
	// WaitingForDNS has no certificate, and the rehearsal says that an order would fail.
	WaitingForDNS State = "waiting for DNS"
	// Queued is due and waits for its turn, or for a limit of the CA's.
	Queued State = "queued"
	// Ordering is in the hands of a worker, or of another gateway.
	Ordering State = "ordering"
	// Active has a certificate that is not due for renewal.
	Active State = "active"
	// Failing could not be ordered or renewed. A certificate that it has goes on serving.
	Failing State = "failing"
	// Left has a certificate and no longer points here: it is not renewed.
	Left State = "left"
)

// States are all there are, in the order in which people think of them.
func States() []State { return []State{WaitingForDNS, Queued, Ordering, Active, Failing, Left} }

// ParseState reads a state as a person types it: case does not matter, and dashes or underscores may stand for spaces.
func ParseState(text string) (State, error) {
	plain := strings.NewReplacer("-", " ", "_", " ").Replace(strings.TrimSpace(text))
	names := make([]string, 0, len(States()))
	for _, state := range States() {
		if strings.EqualFold(plain, string(state)) {
			return state, nil
		}
		names = append(names, strings.ReplaceAll(strings.ToLower(string(state)), " ", "-"))
	}
	return "", fmt.Errorf("%q is no state of a certificate: use %s", text, strings.Join(names, ", "))
}

// stateIndex is a State in a byte; the order is that of States.
type stateIndex uint8

const (
	waiting stateIndex = iota
	queued
	ordering
	active
	failing
	left
	stateCount
)

func (s stateIndex) state() State {
	return [stateCount]State{WaitingForDNS, Queued, Ordering, Active, Failing, Left}[s]
}

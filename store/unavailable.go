package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

const (
	retryBusy = 1 * time.Second // a gate is full, or a connection was lost
	retryDown = 5 * time.Second // the circuit breaker is open
)

// Unavailable is the error of an operation that could not be tried, or that found the database unreachable.
type Unavailable struct {
	// RetryAfter is when it is worth trying again; at least one second.
	RetryAfter time.Duration
	// Cause is for the log, never for visitors. Its text holds no credentials.
	Cause error
}

// Error implements error.
func (u *Unavailable) Error() string { return fmt.Sprintf("the database is unavailable: %v", u.Cause) }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Cause }

// failure is what an operation's error says about the deployment.
type failure int

const (
	failedQuery    failure = iota // nothing: the deployment answered, or the caller went away
	failedSlowly                  // it did not answer in time: a heavy query, or a dead server
	failedLink                    // a connection broke, or none could be made
	failedFailover                // it answered that it cannot serve just now
)

// classify judges err, which is not nil, of an operation under ctx.
func classify(ctx context.Context, err error) failure {
	if errors.Is(ctx.Err(), context.Canceled) {
		return failedQuery
	}
	var command mongo.CommandError
	var cleared driver.RetryablePoolError
	switch {
	case errors.As(err, &command) && isFailover(command.Code):
		return failedFailover
	case errors.As(err, &topology.ServerSelectionError{}),
		errors.As(err, &topology.WaitQueueTimeoutError{}), // the gates leave room in the pool, so it is the server that is slow to connect
		errors.As(err, &cleared),                          // by another operation's failure
		isMalformed(err),
		errors.Is(err, mongo.ErrClientDisconnected):
		return failedLink
	case mongo.IsTimeout(err):
		return failedSlowly
	case mongo.IsNetworkError(err), errors.As(err, &topology.ConnectionError{}):
		return failedLink
	}
	return failedQuery
}

// isMalformed knows the driver's errors about a message that is none. They have no type in common.
func isMalformed(err error) bool {
	return strings.HasPrefix(err.Error(), "malformed ")
}

// isFailover knows the codes of a server that is shutting down or is not primary (Server Discovery and Monitoring specification, "not
// writable primary" and "node is recovering").
func isFailover(code int32) bool {
	switch code {
	case 91, 189, 10058, 10107, 11600, 11602, 13435, 13436:
		return true
	}
	return false
}

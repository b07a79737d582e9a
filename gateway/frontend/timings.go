package frontend

import "time"

// Timings bound how long an upstream may take over each part of an exchange. The time to the first byte of the answer is the
// tenant's own, tenant.Limits.Timeout.
type Timings struct {
	// Dial bounds a new connection, TLS included. Default 4 s.
	Dial time.Duration
	// Answer stands in for a tenant's timeout that is not set. Default 30 s.
	Answer time.Duration
	// Queue is how long a request waits for a free connection. Default 5 s.
	Queue time.Duration
	// Body is how long a body may make no progress, in either direction. Default 75 s.
	Body time.Duration
	// Idle is how long an unused connection is kept. Default 45 s, below the 60 s at which many upstreams and load balancers close.
	Idle time.Duration
	// Age is how long a connection is used again. Default 10 s. A server that has stopped to listen lives on as long as requests come on
	// the connections that it still has, and only a new connection shows that another one has taken its place.
	Age time.Duration
}

func (t Timings) orDefaults() Timings {
	return Timings{
		Dial:   orDefault(t.Dial, 4*time.Second),
		Answer: orDefault(t.Answer, 30*time.Second),
		Queue:  orDefault(t.Queue, 5*time.Second),
		Body:   orDefault(t.Body, 75*time.Second),
		Idle:   orDefault(t.Idle, 45*time.Second),
		Age:    orDefault(t.Age, 10*time.Second),
	}
}

func orDefault(d, byDefault time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return byDefault
}

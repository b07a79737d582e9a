package limit

import (
	"strconv"
	"time"
)

// Reason says which limit refused. Its String is the form that metrics and the log use, and the name of the policy in RateLimit fields.
type Reason uint8

// The reasons.
const (
	None        Reason = iota
	Rate               // of the tenant
	ClientRate         // of one client address
	Concurrency        // of the tenant
	Saturation         // of the process: the request's turn did not come in time
	Connections        // of the tenant
)

// String implements fmt.Stringer.
func (r Reason) String() string {
	return [...]string{"none", "rate", "client_rate", "concurrency", "saturation", "connections"}[r]
}

// Refusal is why a request may not go on. Its zero value is for one that may.
type Refusal struct {
	Reason Reason
	After  time.Duration // until another attempt may succeed
	Quota  int           // requests at once
	Window time.Duration // in which Quota comes back; 0 for a number of concurrent requests
}

// AppendRetryAfter appends the value of Retry-After in whole seconds, rounded up (RFC 9110 §10.2.3).
func (r Refusal) AppendRetryAfter(dst []byte) []byte {
	return strconv.AppendInt(dst, seconds(r.After), 10)
}

// HasPolicy reports whether the refusal is about a quota of the client's or the tenant's, which RateLimit fields can tell.
func (r Refusal) HasPolicy() bool { return r.Quota > 0 }

// AppendPolicy appends the value of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10 §3).
func (r Refusal) AppendPolicy(dst []byte) []byte {
	dst = r.appendName(dst)
	dst = append(dst, ";q="...)
	dst = strconv.AppendInt(dst, int64(r.Quota), 10)
	if r.Window == 0 {
		return append(dst, `;qu="concurrent-requests"`...)
	}
	dst = append(dst, ";w="...)
	return strconv.AppendInt(dst, seconds(r.Window), 10)
}

// AppendLimit appends the value of RateLimit (draft-ietf-httpapi-ratelimit-headers-10 §4): nothing is left, and when there will be more.
func (r Refusal) AppendLimit(dst []byte) []byte {
	dst = r.appendName(dst)
	dst = append(dst, ";r=0;t="...)
	return strconv.AppendInt(dst, seconds(r.After), 10)
}

// appendName appends the policy's name as an sf-string (RFC 9651 §3.3.3); no reason holds a sign to escape.
func (r Refusal) appendName(dst []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, r.Reason.String()...)
	return append(dst, '"')
}

// seconds rounds up, so that whoever waits so long is not early; at least 1.
func seconds(d time.Duration) int64 { return max(int64((d+time.Second-1)/time.Second), 1) }

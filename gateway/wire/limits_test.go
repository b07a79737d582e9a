package wire

import (
	"strings"
	"testing"
)

// TestTooLarge sends what is beyond a limit by far, and by one byte.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(bytes string, want *Error) {
		t.Helper()
		r.expect(t, bytes+get, nil, []answer{{want.Status, want.Reason}})
	}
	long := strings.Repeat("a", 128<<10)

	f("GET /"+long+" HTTP/1.1\r\n"+host+"\r\n", errTargetTooLong)
	f("GET /"+long[:8<<10]+" HTTP/1.1\r\n"+host+"\r\n", errTargetTooLong)
	f(long, errTargetTooLong)
	f("GET / HTTP/1.1\r\n"+host+"X: "+long+"\r\n\r\n", errHeadTooLarge)
	f("GET / HTTP/1.1\r\n"+host+long+": y\r\n\r\n", errHeadTooLarge)
	f(headOf(MaxHeaderBytes+1), errHeadTooLarge)
	f("GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 5000)+"\r\n", errTooManyFields)
	f("GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 200)+"\r\n", errTooManyFields)

	chunked := "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"
	f(chunked+"0\r\nX: "+long+"\r\n\r\n", errHeadTooLarge)
	f(chunked+"0\r\n"+strings.Repeat("X: y\r\n", 201)+"\r\n", errTooManyFields)
	f(chunked+long, errChunkExtensions)
}

// TestLargest sends what just fits.
func TestLargest(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(bytes string, want ...string) {
		t.Helper()
		answers := make([]answer, len(want))
		for i := range answers {
			answers[i] = answer{200, "served"}
		}
		r.expect(t, bytes, want, answers)
	}
	second := `GET /second a.test ""`

	target := "/" + strings.Repeat("a", 8<<10-1)
	f("GET "+target+" HTTP/1.1\r\n"+host+"\r\n"+get, "GET "+target+` a.test ""`, second)
	f(headOf(MaxHeaderBytes)+get, `GET / a.test ""`, second)
	f(get+headOf(MaxHeaderBytes)+get, second, `GET / a.test ""`, second)
	f("\r\n"+headOf(smallBuffer)+get, `GET / a.test ""`, second)
	f("GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 199)+"\r\n", `GET / a.test ""`)

	chunked := "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"
	f(chunked+"0\r\nX: "+strings.Repeat("y", 12<<10)+"\r\n\r\n"+get, `POST / a.test ""`, second)
	f(chunked+"1;"+strings.Repeat("x", maxSizeLine-4)+"\r\ny\r\n0\r\n\r\n"+get, `POST / a.test "y"`, second)
	f(chunked+strings.Repeat("1;x=y\r\nz\r\n", 300)+"0\r\n\r\n"+get, `POST / a.test "`+strings.Repeat("z", 300)+`"`, second)
}

// headOf is a good head of exactly n bytes.
func headOf(n int) string {
	const start, end = "GET / HTTP/1.1\r\n" + host + "X: ", "\r\n\r\n"
	return start + strings.Repeat("y", n-len(start)-len(end)) + end
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := NewConn(nil, Limits{HeaderBytes: 1 << 20}).limits
	if want := (Limits{}).withDefaults(); got != want || got.HeaderBytes != 16<<10 || got.Headers != 200 || got.TargetBytes != 8<<10 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

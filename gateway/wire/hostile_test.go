package wire

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const host = "Host: a.test\r\n"

// get is a request that must not be noticed when it hides behind a bad one.
const get = "GET /second HTTP/1.1\r\n" + host + "\r\n"

// TestRefused sends each bad message in front of a good one, and expects one answer and nothing at the server.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(bytes string, want *Error) {
		t.Helper()
		r.expect(t, bytes+get, nil, []answer{{want.Status, want.Reason}})
	}

	// two framings in one message: RFC 9112 §6.3
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", errTwoFramings)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", errTwoFramings)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", errTwoFramings)

	// Content-Length that is not one plain number: CVE-2022-24761, CVE-2023-40225
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", errLengthTwice)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", errLengthTwice)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n\r\nhello", errLengthTwice)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", errLengthTwice)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length:\r\nContent-Length: 5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: \t \r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: +5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: -5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5, 5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5 5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 0x5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5.0\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: \xd9\xa5\r\n\r\nhello", errLength)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 18446744073709551621\r\n\r\nhello", errLength) // 2^64+5
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 9223372036854775808\r\n\r\nhello", errLength)  // 2^63
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 4611686018427387905\r\n\r\nhello", errLength)  // 2^62+1
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 46116860184273879040\r\n\r\nhello", errLength)

	// Transfer-Encoding that is not exactly "chunked", once: RFC 9112 §6.1
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n0\r\n\r\n", errCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", errFieldValue)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", errFieldValue)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", errUnknownCoding)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", errUnknownCoding)
	f("POST / HTTP/1.0\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errCodingVersion)

	// fields that peers split differently: RFC 9112 §5, CVE-2023-30589, RFC 9110 §5.5
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", errCoding)
	f("GET / HTTP/1.1\r\n"+host+"X: a\r\n b\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"X: a\r\n\tb: c\r\n\r\n", errField)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length : 5\r\n\r\nhello", errField)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length x: 5\r\n\r\nhello", errField)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", errField)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n\tX: y\r\n"+host+"\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+": empty name\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"no colon\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"X\x00: y\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"X\xc3\xa9: y\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"X(y): z\r\n\r\n", errField)
	f("GET / HTTP/1.1\r\n"+host+"X: y\x00\r\n\r\n", errFieldValue)
	f("GET / HTTP/1.1\r\n"+host+"X: a long value, a long value\x00 and on it goes\r\n\r\n", errFieldValue)
	f("GET / HTTP/1.1\r\n"+host+"X: y\x7f\r\n\r\n", errFieldValue)
	f("GET / HTTP/1.1\r\n"+host+"X: y\x1b[31m\r\n\r\n", errFieldValue)
	f("POST / HTTP/1.1\r\n"+host+"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errFieldValue)
	f("POST / HTTP/1.1\r\n"+host+"X: a\r\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errFieldValue)
	f("POST / HTTP/1.1\r\n"+host+"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errLineEnding)
	f("GET / HTTP/1.1\n"+host+"\r\n", errLineEnding)
	f("GET / HTTP/1.1\r\n"+host+"\n", errLineEnding)
	f("GET / HTTP/1.1\r\n"+host+"X: y\n\r\n", errLineEnding)

	f("POST / HTTP/1.1\r\n"+host+"Content_Length: 5\r\n\r\nhello", errAlias)
	f("POST / HTTP/1.1\r\n"+host+"TRANSFER.ENCODING: chunked\r\n\r\n0\r\n\r\n", errAlias)

	// Host that is not exactly host[:port], once: RFC 9112 §3.2
	f("GET / HTTP/1.1\r\n\r\n", errHostMissing)
	f("GET / HTTP/1.0\r\n\r\n", errHostMissing)
	f("GET http://a.test/ HTTP/1.1\r\n\r\n", errHostMissing)
	f("GET / HTTP/1.1\r\n"+host+host+"\r\n", errHostTwice)
	f("GET / HTTP/1.1\r\n"+host+"X: y\r\nhost: b.test\r\n\r\n", errHostTwice)
	f("GET / HTTP/1.1\r\nHost:\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test/path\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test@evil.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: user:secret@a.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test:80:81\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test:99999\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test?x\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a.test#x\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a<.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: \xc3\xa4.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: %61.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: http://a.test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: a..test\r\n\r\n", errHost)
	f("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", errHost)

	// an absolute-form target that differs from Host: RFC 9112 §3.2.2
	f("GET http://b.test/ HTTP/1.1\r\n"+host+"\r\n", errAuthority)
	f("GET http://a.test:81/ HTTP/1.1\r\n"+host+"\r\n", errAuthority)
	f("GET http://a.test?@b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n", errAuthority)
	f("GET http://a.test@b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n", errHost)
	f("GET http://b.test\\@a.test/ HTTP/1.1\r\n"+host+"\r\n", errHost)
	f("GET http:///x HTTP/1.1\r\n"+host+"\r\n", errHost)
	f("GET ftp://a.test/ HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET //b.test/?u=http://a.test HTTP/1.1\r\n"+host+"\r\n", errTarget)

	// the request line: RFC 9112 §3
	f("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", errConnect)
	f("CONNECT / HTTP/1.1\r\n"+host+"\r\n", errConnect)
	f("GET * HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET a.test HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /#fragment HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /\xc3\xa4 HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /\x00 HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /\x7f HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /\tx HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET /\rX HTTP/1.1\r\n"+host+"\r\n", errTarget)
	f("GET / x HTTP/1.1\r\n"+host+"\r\n", errVersionSyntax)
	f("GET  / HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("GET /  HTTP/1.1\r\n"+host+"\r\n", errVersionSyntax)
	f("GET / HTTP/1.1 \r\n"+host+"\r\n", errVersionSyntax)
	f(" GET / HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("GET\t/ HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("GE(T / HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("GET\x00 / HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("GET /\r\n"+host+"\r\n", errRequestLine)
	f("GET\r\n\r\n", errRequestLine)
	f("GET / http/1.1\r\n"+host+"\r\n", errVersionSyntax)
	f("GET / HTTP/1.10\r\n"+host+"\r\n", errVersionSyntax)
	f("GET / HTTP/1,1\r\n"+host+"\r\n", errVersionSyntax)
	f("GET / HTTP/1.2\r\n"+host+"\r\n", errVersion)
	f("GET / HTTP/0.9\r\n"+host+"\r\n", errVersion)
	f("GET / HTTP/2.0\r\n"+host+"\r\n", errVersion)
	f("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errVersion)
	f(strings.Repeat("M", maxMethod+1)+" / HTTP/1.1\r\n"+host+"\r\n", errMethodTooLong)
	f("\r\n\r\nGET / HTTP/1.1\r\n"+host+"\r\n", errEmptyLines)
	f("\nGET / HTTP/1.1\r\n"+host+"\r\n", errLineEnding)
	f("\rGET / HTTP/1.1\r\n"+host+"\r\n", errRequestLine)
	f("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", errRequestLine)

	// expectations: RFC 9110 §10.1.1
	f("POST / HTTP/1.1\r\n"+host+"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", errExpectation)
	f("POST / HTTP/1.1\r\n"+host+"Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n\r\nhello", errExpectation)
}

// TestRefusedContent sends content that breaks behind a good head. Where it comes later than its head the handler has begun by then, and
// gets an error in place of the end of the content.
func TestRefusedContent(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(body string, want *Error) {
		t.Helper()
		bytes := "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + body + get
		r.expect(t, bytes, nil, []answer{{want.Status, want.Reason}})
	}

	// the size of a chunk: CVE-2025-22871, CVE-2023-40175, RFC 9112 §7.1
	f("5\nhello\r\n0\r\n\r\n", errLineEnding)
	f("0x5\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("+5\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("-5\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f(";x\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f(" 5\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5 \r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5 ;x\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5\t\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5,\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5_0\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("00000000000000005\r\nhello\r\n0\r\n\r\n", errChunkSize) // 17 digits
	f("fffffffffffffffff\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("10000000000000005\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("8000000000000005\r\nhello\r\n0\r\n\r\n", errChunkSize)

	// the end of its data
	f("5\r\nhelloX\r\n0\r\n\r\n", errChunkEnd)
	f("5\r\nhello0\r\n\r\n", errChunkEnd)
	f("5\r\nhello\n0\r\n\r\n", errChunkEnd)
	f("5\r\nhello\rX0\r\n\r\n", errChunkEnd)
	f("5\r\nhello\r\r\n0\r\n\r\n", errChunkEnd)
	f("4\r\nhello\r\n0\r\n\r\n", errChunkEnd)
	f("6\r\nhello\r\n0\r\n\r\n", errChunkEnd)

	// its extensions
	f("5;x\ny\r\nhello\r\n0\r\n\r\n", errLineEnding)
	f("5;x\ry\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5;x\r\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5;x=\"\x00\"\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5;"+strings.Repeat("x", maxSizeLine)+"\r\nhello\r\n0\r\n\r\n", errChunkExtensions)
	f(strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\ny\r\n", 20)+"0\r\n\r\n", errChunkExtensions)

	// trailers
	f("0\r\n\n", errLineEnding)
	f("0\r\nX: y\n\r\n", errLineEnding)
	f("0\r\nX : y\r\n\r\n", errField)
	f("0\r\n X: y\r\n\r\n", errField)
	f("0\r\nX: y\r\n z\r\n\r\n", errField)
	f("0\r\nX: y\x00\r\n\r\n", errFieldValue)
	f("0\r\nGET / HTTP/1.1\r\n\r\n", errField)
	f("0\r\nHost: b.test\r\n\r\n", errTrailer)
	f("0\r\nContent-Length: 5\r\n\r\n", errTrailer)
	f("0\r\ntransfer-encoding: chunked\r\n\r\n", errTrailer)
	f("0\r\nTransfer_Encoding: chunked\r\n\r\n", errTrailer)
	f("0\r\nX-Tenant: b\r\n\r\n", errTrailer)
	f("0\r\nx_tenant: b\r\n\r\n", errTrailer)
	f("0\r\nX.TENANT: b\r\n\r\n", errTrailer)
	f("0\r\nX_Forwarded-For: 1.2.3.4\r\n\r\n", errTrailer)
	f("0\r\nX-Forwarded-Something-Long: 1.2.3.4\r\n\r\n", errTrailer)
	f("0\r\nForwarded: for=1.2.3.4\r\n\r\n", errTrailer)
	f("0\r\nAuthorization: Bearer x\r\n\r\n", errTrailer)
	f("0\r\nCookie: a=b\r\n\r\n", errTrailer)
}

// TestForeseen sends bad framing in one piece with its head: the handler must not even begin, or a frontend would hear of half a request.
func TestForeseen(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(body string, want *Error) {
		t.Helper()
		r.listener.cutNext(whole)
		got := r.exchange(t, "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n"+body+get)
		if !slices.Equal(got, []answer{{want.Status, want.Reason}}) {
			t.Errorf("%.60q: answered %v, want %v", body, got, want)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.begun > 0 {
			t.Fatalf("%.60q: the handler has begun", body)
		}
	}

	f("5\nhello\r\n0\r\n\r\n", errLineEnding)
	f("0x5\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5\r\nhelloX\r\n0\r\n\r\n", errChunkEnd)
	f("5\r\nhello\r\n5;x\ry\r\nhello\r\n0\r\n\r\n", errChunkSize)
	f("5\r\nhello\r\n0\r\nX-Tenant: b\r\n\r\n", errTrailer)
}

// TestRefusedLater expects the good requests in front to be answered, and the bad one to be refused, not dropped in silence.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	post := "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello"
	f := func(bytes string, want *Error) {
		t.Helper()
		served := answer{200, "served"}
		r.expect(t, get+post+bytes+get, []string{`GET /second a.test ""`, `POST / a.test "hello"`}, []answer{served, served, {want.Status, want.Reason}})
	}

	f("CONNECT a.test:22 HTTP/1.1\r\nHost: a.test:22\r\n\r\n", errConnect)
	f("GET / HTTP/1.1\r\n\r\n", errHostMissing)
	f("GET / HTTP/3.0\r\n"+host+"\r\n", errVersion)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\nz\r\n", errChunkSize)
	f("hello\r\n", errRequestLine)
	f("\r\n\r\n", errEmptyLines)
}

// TestCutShort ends the connection before the request does: content that is not whole must never pass for content that is.
func TestCutShort(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(bytes string, answers ...answer) {
		t.Helper()
		r.expect(t, bytes, nil, answers)
	}
	incomplete := answer{errBodyIncomplete.Status, errBodyIncomplete.Reason}

	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 6\r\n\r\nhello", incomplete)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 4611686018427387904\r\n\r\nhello", incomplete)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n", incomplete)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", incomplete)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", incomplete)
	f("POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n", incomplete)

	// without a whole head there is nobody to answer
	f("GET / HTTP/1.1\r\n" + host)
	f("\r\n")
}

// TestAccepted expects each message to reach the server as it was meant.
func TestAccepted(t *testing.T) {
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

	f("GET / HTTP/1.1\r\n"+host+"\r\n", `GET / a.test ""`)
	f("GET / HTTP/1.0\r\n"+host+"Connection: keep-alive\r\n\r\n"+get, `GET / a.test ""`, `GET /second a.test ""`)
	f("OPTIONS * HTTP/1.1\r\n"+host+"\r\n", `OPTIONS * a.test ""`)
	f("get / HTTP/1.1\r\n"+host+"\r\n", `get / a.test ""`)
	f(strings.Repeat("M", maxMethod)+" / HTTP/1.1\r\n"+host+"\r\n", strings.Repeat("M", maxMethod)+` / a.test ""`)
	f("GET /a?b=[c]|{d}\"<e>^`\\&u=http://b.test HTTP/1.1\r\n"+host+"\r\n", "GET /a?b=[c]|{d}\"<e>^`\\&u=http://b.test a.test \"\"")
	f("GET //a//b HTTP/1.1\r\n"+host+"\r\n", `GET //a//b a.test ""`)
	f("\r\n"+get+"\r\n"+get, `GET /second a.test ""`, `GET /second a.test ""`)

	// Host in its forms
	f("GET / HTTP/1.1\r\nHost:a.test:8443\r\n\r\n", `GET / a.test:8443 ""`)
	f("GET / HTTP/1.1\r\nhOsT: \tA.Test.\t \r\n\r\n", `GET / A.Test. ""`)
	f("GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", `GET / [::1]:443 ""`)
	f("GET http://A.test/x HTTP/1.1\r\nHost: a.test.\r\n\r\n", `GET http://A.test/x a.test. ""`)
	f("GET HTTPS://a.test:8443?x HTTP/1.1\r\nHost: a.test:8443\r\n\r\n", `GET HTTPS://a.test:8443?x a.test:8443 ""`)

	// values: tabs, empty ones, bytes beyond ASCII, many fields
	f("GET / HTTP/1.1\r\n"+host+"X:\r\nY: \ta\tb\xc3\xa4\xff\r\n\r\n", `GET / a.test ""`)
	f("GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 150)+"\r\n", `GET / a.test ""`)

	// content
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\n\r\nhello"+get, `POST / a.test "hello"`, `GET /second a.test ""`)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 0005\r\n\r\nhello"+get, `POST / a.test "hello"`, `GET /second a.test ""`)
	f("POST / HTTP/1.1\r\n"+host+"Content-Length: 0\r\n\r\n"+get, `POST / a.test ""`, `GET /second a.test ""`)
	f("POST / HTTP/1.1\r\n"+host+"\r\n"+get, `POST / a.test ""`, `GET /second a.test ""`)
	f("POST / HTTP/1.1\r\n"+host+"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello", `POST / a.test "hello"`)
	f("POST / HTTP/1.0\r\n"+host+"Expect: x\r\nContent-Length: 5\r\n\r\nhello", `POST / a.test "hello"`)

	// chunks, extensions, trailers, capitals
	chunked := "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"
	f(chunked+"5\r\nhello\r\n0\r\n\r\n"+get, `POST / a.test "hello"`, `GET /second a.test ""`)
	f(chunked+"0\r\n\r\n"+get, `POST / a.test ""`, `GET /second a.test ""`)
	f(chunked+"00000000000000a\r\n0123456789\r\n000\r\n\r\n"+get, `POST / a.test "0123456789"`, `GET /second a.test ""`)
	f(chunked+"A\r\n0123456789\r\n1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n"+get, `POST / a.test "0123456789\r\n"`, `GET /second a.test ""`)
	f(chunked+"5;a=b;c=\"d e\"\t;\xc3\xa4\r\nhello\r\n0;last\r\n\r\n"+get, `POST / a.test "hello"`, `GET /second a.test ""`)
	f(chunked+"5\r\nhello\r\n0\r\nX-Checksum: 1\r\nY:\r\n\r\n"+get, `POST / a.test "hello"`, `GET /second a.test ""`)
	f("POST / HTTP/1.1\r\n"+host+"TRANSFER-ENCODING:CHUNKED \r\n\r\n5\r\nhello\r\n0\r\n\r\n"+get, `POST / a.test "hello"`, `GET /second a.test ""`)

	// a GET or HEAD whose content looks like a request is one message (CL.0)
	f(fmt.Sprintf("GET / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", host, len(get), get), fmt.Sprintf("GET / a.test %q", get))
	f(fmt.Sprintf("GET / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", host, len(get), get), fmt.Sprintf("GET / a.test %q", get))
	f(fmt.Sprintf("DELETE / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", host, len(get), get), fmt.Sprintf("DELETE / a.test %q", get))

	// whatever follows "Connection: close" does not matter
	f("GET / HTTP/1.1\r\n"+host+"Connection: close\r\n\r\n\x00junk\r\n\r\n", `GET / a.test ""`)
	f("GET / HTTP/1.1\r\n"+host+"Connection: close\r\n\r\n"+get, `GET / a.test ""`)
	f("GET / HTTP/1.0\r\n"+host+"\r\njunk", `GET / a.test ""`)

	// nor do fields of the gateway's: they pass, for it to drop
	f("GET / HTTP/1.1\r\n"+host+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", `GET / a.test ""`)
}

// TestHeadWithContent is apart because the answer to HEAD has no content to read.
func TestHeadWithContent(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	c := r.dial(t)
	fmt.Fprintf(c, "HEAD / HTTP/1.1\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", host, len(get), get)
	bytes, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(bytes), "HTTP/1.1 200 OK\r\n") || strings.Count(string(bytes), "HTTP/1.1") != 1 {
		t.Errorf("answered %q, %v; want one 200", bytes, err)
	}
	if got, want := r.taken(), []string{fmt.Sprintf("HEAD / a.test %q", get)}; !slices.Equal(got, want) {
		t.Errorf("arrived: %q\nwant:    %q", got, want)
	}
}

package grammar

import (
	"bytes"
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	f := func(what string, is func(byte) bool, want string) {
		t.Helper()
		for c := range 256 {
			if got := is(byte(c)); got != (strings.IndexByte(want, byte(c)) >= 0) {
				t.Errorf("%s: %q is %v", what, byte(c), got)
			}
		}
	}
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	visible, beyond := "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"+letters, make([]byte, 0, 128)
	for c := 0x80; c < 0x100; c++ {
		beyond = append(beyond, byte(c))
	}
	f("token", func(c byte) bool { return IsToken([]byte{c}) }, "!#$%&'*+-.^_`|~"+letters)
	f("token", func(c byte) bool { return IsToken(string([]byte{c})) }, "!#$%&'*+-.^_`|~"+letters)
	f("start of a token", func(c byte) bool { return TokenLength([]byte{'x', c, 'x'}) == 3 }, "!#$%&'*+-.^_`|~"+letters)
	f("target", func(c byte) bool { return IsTarget([]byte{c}) }, visible)
	f("value", IsValueByte, visible+"# \t"+string(beyond))
	f("blank", IsBlank, " \t")
	f("digit", func(c byte) bool { _, ok := HexDigit(c); return ok }, "0123456789abcdefABCDEF")
	if IsToken("") {
		t.Error("an empty token")
	}
	for i, c := range []byte("0123456789abcdef") {
		lower, _ := HexDigit(c)
		upper, _ := HexDigit(bytes.ToUpper([]byte{c})[0])
		if int(lower) != i || int(upper) != i {
			t.Errorf("%q is %d and %d", c, lower, upper)
		}
	}
}

func TestEqualFold(t *testing.T) {
	f := func(s, lower string, want bool) {
		t.Helper()
		if got := EqualFold([]byte(s), lower); got != want {
			t.Errorf("EqualFold(%q, %q) = %v", s, lower, got)
		}
	}
	f("Keep-Alive", "keep-alive", true)
	f("", "", true)
	f("Keep\rAlive", "keep-alive", false) // 0x0d and 0x2d differ in the bit of the case
	f("[", "{", false)
	f("@", "`", false)
	f("\u212aeep-Alive", "keep-alive", false) // the sign of kelvin, which folds to k in Unicode
	f("Keep", "keep-alive", false)
	f("keep-alives", "keep-alive", false)
}

func TestIsHopByHop(t *testing.T) {
	f := func(want bool, names ...string) {
		t.Helper()
		for _, name := range names {
			if got := IsHopByHop([]byte(name)); got != want {
				t.Errorf("IsHopByHop(%q) = %v", name, got)
			}
		}
	}
	f(true, "Connection", "KEEP-ALIVE", "te", "Trailer", "upgrade", "Transfer-Encoding", "HTTP2-Settings", "Proxy-Connection", "proxy-authorization")
	f(false, "", "t", "Proxy", "Content-Length", "Host", "Upgrade-Insecure-Requests", "Connections")
}

func TestTrim(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := string(Trim([]byte(s))); got != want {
			t.Errorf("Trim(%q) = %q", s, got)
		}
	}
	f("", "")
	f(" \t ", "")
	f("\t a b \t", "a b")
	f("\ra", "\ra")
}

// FuzzIsFieldValue compares eight bytes at a time with one.
func FuzzIsFieldValue(f *testing.F) {
	f.Add([]byte("text/html,application/xhtml+xml"))
	f.Add([]byte("1234567\x7f"))
	f.Add([]byte("12345678\x00"))
	f.Add([]byte("\x1f1234567"))
	f.Add([]byte("\xff\x80\t12345 \r"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := true
		for _, c := range b {
			want = want && IsValueByte(c)
		}
		if got := IsFieldValue(b); got != want {
			t.Errorf("IsFieldValue(%q) = %v", b, got)
		}
	})
}

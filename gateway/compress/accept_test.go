package compress

import (
	"strings"
	"testing"

	"metahub/tenant"
)

func TestChoose(t *testing.T) {
	f := func(accept string, want tenant.Coding, wantPlain bool) {
		t.Helper()
		var lists [][]byte
		if accept != "none" {
			for _, list := range strings.Split(accept, "\n") {
				lists = append(lists, []byte(list))
			}
		}
		if got, plain := choose(lists, tenant.AllCodings()); got != want || plain != wantPlain {
			t.Errorf("%q: %v, %v; want %v, %v", accept, got, plain, want, wantPlain)
		}
	}
	// without a word, or with an empty one, nothing is encoded
	f("none", tenant.Identity, true)
	f("", tenant.Identity, true)
	f(" , ,", tenant.Identity, true)
	// browsers
	f("gzip, deflate, br, zstd", tenant.Zstd, true)
	f("gzip, deflate, br", tenant.Gzip, true)
	f("deflate, br", tenant.Brotli, true)
	f("gzip, deflate", tenant.Gzip, true)
	f("deflate", tenant.Identity, true)
	// the client's order is its q-values
	f("gzip;q=1.0, br;q=0.9, zstd;q=0.1", tenant.Gzip, true)
	f("br;q=0.5,zstd;q=0.501", tenant.Zstd, true)
	f("gzip ; q=0.2 , br\t;\tQ=0.3", tenant.Brotli, true)
	f("GZip", tenant.Gzip, true)
	f("x-gzip", tenant.Gzip, true)
	// q=0 is a no
	f("gzip;q=0", tenant.Identity, true)
	f("gzip;q=0.000, br;q=0.001", tenant.Brotli, true)
	f("*;q=0", tenant.Identity, false)
	f("identity;q=0", tenant.Identity, false)
	f("identity;q=0, gzip;q=0.1", tenant.Gzip, false)
	f("*;q=0, gzip", tenant.Gzip, false)
	f("*;q=0, identity", tenant.Identity, true)
	// the rest
	f("*", tenant.Zstd, true)
	f("*, zstd;q=0", tenant.Gzip, true)
	f("*;q=0.5, gzip;q=0.6", tenant.Gzip, true)
	f("*;q=0, gzip;q=0.6, identity;q=0.5", tenant.Gzip, true)
	// identity may be what the client likes best
	f("identity, gzip;q=0.5", tenant.Identity, true)
	f("identity;q=0.5, gzip;q=0.5", tenant.Gzip, true)
	f("identity;q=0.5, *;q=0.1", tenant.Identity, true)
	// what is not sound says nothing
	f("gzip;q=2", tenant.Identity, true)
	f("gzip;q=1.001", tenant.Identity, true)
	f("gzip;q=0.0001", tenant.Identity, true)
	f("gzip;q=-1", tenant.Identity, true)
	f("gzip;q=", tenant.Identity, true)
	f("gzip;q", tenant.Identity, true)
	f("gzip;q=1;q=0", tenant.Identity, true)
	f("gzip;level=9", tenant.Identity, true)
	f("gzip;q=0.5x, br", tenant.Brotli, true)
	f("gzip br", tenant.Identity, true)
	f("gzip;q=1.", tenant.Gzip, true)
	// several fields are one list; of two about one coding the later counts
	f("gzip\nbr;q=0.5", tenant.Gzip, true)
	f("gzip;q=0\ngzip", tenant.Gzip, true)
	f("gzip, gzip;q=0", tenant.Identity, true)
}

// TestChooseOffered is about what the tenant wants.
func TestChooseOffered(t *testing.T) {
	f := func(accept string, offered tenant.Codings, want tenant.Coding) {
		t.Helper()
		if got, _ := choose([][]byte{[]byte(accept)}, offered); got != want {
			t.Errorf("%q of %v: %v, want %v", accept, offered, got, want)
		}
	}
	f("gzip, br, zstd", tenant.Codings{tenant.Gzip, tenant.Zstd}, tenant.Gzip)
	f("gzip;q=0.9, br, zstd", tenant.Codings{tenant.Gzip, tenant.Zstd}, tenant.Zstd)
	f("br", tenant.Codings{tenant.Gzip}, tenant.Identity)
	f("*", tenant.Codings{tenant.Brotli}, tenant.Brotli)
	f("*", tenant.Codings{}, tenant.Identity)
}

func FuzzChoose(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br, zstd", "*;q=0", "identity;q=0.5, gzip;q=1.000", ";;q=0,,=*", "gzip;q=0.", "q=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		list := []byte(accept)
		got, plain := choose([][]byte{list}, tenant.AllCodings())
		if string(list) != accept {
			t.Fatal("the request was changed")
		}
		if got != tenant.Identity && !strings.Contains(strings.ToLower(accept), got.String()) && !strings.Contains(accept, "*") {
			t.Fatalf("%q: %v, of which the client said nothing", accept, got)
		}
		if !plain && !strings.Contains(accept, "0") {
			t.Fatalf("%q forbids nothing", accept)
		}
		// Elements are independent of those that nobody knows.
		if again, _ := choose([][]byte{[]byte("deflate;q=1,"), list, nil}, tenant.AllCodings()); again != got {
			t.Fatalf("%q: %v, and with another coding before it %v", accept, got, again)
		}
		// What is alone and refused is never chosen.
		if refused, _ := choose([][]byte{list, []byte("zstd;q=0,br;q=0,gzip;q=0")}, tenant.AllCodings()); refused != tenant.Identity {
			t.Fatalf("%q: %v, though it was refused", accept, refused)
		}
	})
}

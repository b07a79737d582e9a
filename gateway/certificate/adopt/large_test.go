package adopt

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// largeStore writes an acme.json of n certificates, each for a name of its own and all for one key, with chains of three as Let's
// Encrypt gives them, and returns its size in bytes.
func largeStore(t testing.TB, path string, n int) int64 {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text := bufio.NewWriter(file)
	ca, key := letsEncrypt(t), newKey(t)
	chain := encode(ca.issuing, ca.root)
	keyText := base64.StdEncoding.EncodeToString([]byte(encodeKey(t, key)))
	fmt.Fprint(text, `{"le": {"Account": {"Email": "a@b.test"}, "Certificates": [`)
	for i := range n {
		if i > 0 {
			fmt.Fprint(text, ",")
		}
		name := fmt.Sprintf("shop%05d.test", i)
		full := encode(ca.leaf(key, nil, name)) + chain
		fmt.Fprintf(text, `{"domain": {"main": %q}, "certificate": %q, "key": %q, "Store": "default"}`, name, base64.StdEncoding.EncodeToString([]byte(full)), keyText)
	}
	fmt.Fprint(text, `]}}`)
	if err := text.Flush(); err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestLargeStore keeps to a bound of memory for each certificate: Traefik itself needs 24 GB for 35,000 (traefik#5670).
func TestLargeStore(t *testing.T) {
	const n = 20_000
	if testing.Short() {
		t.Skip("makes 20,000 certificates")
	}
	path := filepath.Join(t.TempDir(), "acme.json")
	size := largeStore(t, path, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got := Find([]string{path}, today)
	runtime.ReadMemStats(&after)
	peak := after.HeapSys - before.HeapSys // the heap does not shrink
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := after.HeapAlloc - before.HeapAlloc
	t.Logf("%d MB of acme.json, %d certificates: the heap grew by %d MB, the findings hold %d MB", size>>20, n, peak>>20, held>>20)
	if len(got.Found) != n || len(got.Unread) != 0 {
		t.Fatalf("found %d, unread %d", len(got.Found), len(got.Unread))
	}
	if peak > n*20<<10 || held > n*10<<10 {
		t.Errorf("more than 20 KB of heap, or 10 KB kept, for a certificate")
	}
	runtime.KeepAlive(got)
}

// TestLargeStoreOfNothing: what is refused does not fill the memory either.
func TestLargeStoreOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acme.json")
	write(t, `{"le": {"Certificates": [null`+repeat(",null", 100_000)+`]}}`, path)
	got := Find([]string{path}, today)
	if len(got.Unread) != maxUnread+1 {
		t.Errorf("%d lines", len(got.Unread))
	}
}

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	client3 "github.com/quic-go/quic-go/http3"
)

// TestLargeBodies sends and fetches a large body over each protocol, checks every byte, and looks at the process's memory meanwhile.
// METAHUB_LARGE_MIB says how large it is, 256 MiB by default; bench/large.sh asks for 2 GiB and shows what the test logs.
func TestLargeBodies(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("needs time, and the memory of a process as Linux tells it")
	}
	const most = 64 << 20 // bytes that the process may grow by; the body is larger
	size := int64(256)
	if mib := os.Getenv("METAHUB_LARGE_MIB"); mib != "" {
		var err error
		if size, err = strconv.ParseInt(mib, 10, 32); err != nil {
			t.Fatalf("METAHUB_LARGE_MIB: %v", err)
		}
	}
	size <<= 20
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			n, sum, err := drain(r.Body)
			fmt.Fprintln(w, n, sum, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		}
		_, _ = io.Copy(w, pattern(size))
	}))
	t.Cleanup(upstream.Close)
	processes := map[string]*process{}
	for _, server := range servers {
		processes[server] = startHTTP2(t, server, upstream.URL)
	}
	_, want, _ := drain(pattern(size))
	url := "https://localhost/"

	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/2.0 engine", "HTTP/3.0"} {
		p := processes["standard"]
		if strings.HasSuffix(protocol, " engine") {
			p = processes["engine"]
		}
		client := p.client(strings.TrimSuffix(protocol, " engine"))
		if protocol == "HTTP/3.0" {
			client = p.clientHTTP3()
		}
		client.Timeout = 0
		p.measure(protocol+" download", size, most, func() error {
			response, err := client.Get(url + "?length")
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if n, sum, err := drain(response.Body); n != size || sum != want || err != nil {
				return fmt.Errorf("%d bytes with sum %x came, %v; want %d with %x", n, sum, err, size, want)
			}
			return nil
		})
		p.measure(protocol+" upload", size, most, func() error {
			response, err := client.Post(url, "application/octet-stream", struct{ io.Reader }{pattern(size)})
			if err != nil {
				return err
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if got, want := string(text), fmt.Sprintln(size, want, nil); got != want || err != nil {
				return fmt.Errorf("the upstream got %q, %v; want %q", got, err, want)
			}
			return nil
		})
	}
}

// measure runs transfer and logs how fast it was and how much memory the process had at most; growing by more than most fails the test.
func (p *process) measure(what string, size, most int64, transfer func() error) {
	p.t.Helper()
	// From here on the kernel notes the peak anew.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
	before, begun := p.memory("VmRSS"), time.Now()
	if err := transfer(); err != nil {
		p.t.Errorf("%s: %v", what, err)
		return
	}
	took, peak := time.Since(begun), p.memory("VmHWM")
	p.t.Logf("%-24s %5d MiB in %6.1f s, %5.0f MiB/s, memory %3d MiB before, %3d MiB at most", what, size>>20, took.Seconds(),
		float64(size>>20)/took.Seconds(), before>>20, peak>>20)
	if peak-before > most {
		p.t.Errorf("%s: memory grew by %d MiB", what, (peak-before)>>20)
	}
}

// memory is a line of the process's status, in bytes.
func (p *process) memory(line string) int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), line+":")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		p.t.Fatalf("no %s in\n%s", line, status)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kib << 10
}

// clientHTTP3 talks HTTP/3 to this process whatever the host name.
func (p *process) clientHTTP3() *http.Client {
	transport := &client3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: p.rootCA},
		Dial: func(ctx context.Context, _ string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, p.https, config, quicConfig)
		},
	}
	p.t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport}
}

// block is what pattern repeats: no two places near each other look alike, and making a body of it costs nothing.
var block = func() []byte {
	b := make([]byte, 1<<20+7) // not in step with anybody's buffers
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}()

// pattern is a body of size bytes.
func pattern(size int64) io.Reader { return io.LimitReader(&repeated{}, size) }

type repeated struct{ at int }

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, block[r.at:])
	r.at = (r.at + n) % len(block)
	return n, nil
}

// drain reads all of a body and sums it up.
func drain(body io.Reader) (n int64, sum uint32, err error) {
	table := crc32.MakeTable(crc32.Castagnoli) // which processors know
	piece := make([]byte, 256<<10)
	for {
		m, err := body.Read(piece)
		n, sum = n+int64(m), crc32.Update(sum, table, piece[:m])
		if err == io.EOF {
			return n, sum, nil
		}
		if err != nil {
			return n, sum, err
		}
	}
}

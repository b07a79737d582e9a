package gateway

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestBackpressure has a client that reads nothing and an upstream that reads nothing. Neither side can put more into the gateway than the
// other takes: what is between them stays in windows and buffers of a fixed size.
func TestBackpressure(t *testing.T) {
	const most = 24 << 20 // of which most is the kernel's, for the connections to the upstream and to the client
	pair(t, func(t *testing.T, http2 bool) {
		release, source := make(chan struct{}), new(zeros)
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				_, _ = io.Copy(rw, source)
				return
			}
			<-release
		})
		w.large()
		defer close(release)
		still := func(z *zeros) {
			t.Helper()
			last, since := int64(-1), time.Now()
			await(t, "the bytes to stop", func() bool {
				if n := z.taken.Load(); n != last {
					last, since = n, time.Now()
				}
				return last > 0 && time.Since(since) > 300*time.Millisecond
			})
			if last > most {
				t.Errorf("%d bytes are on their way", last)
			}
			t.Logf("%d KiB are on their way", last>>10)
		}
		response, err := w.client(http2, "").Get("https://up.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		still(source)

		upload := new(zeros)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "POST", "https://up.test/", upload)
		if err != nil {
			t.Fatal(err)
		}
		c := w.client(http2, "")
		go func() {
			if response, err := c.Do(r); err == nil {
				response.Body.Close()
			}
		}()
		still(upload)
	})
}

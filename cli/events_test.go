package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"metahub/bench/mongod"
)

// A tenant's change stream is open while somebody listens. It is noticed at once who leaves, long before a heartbeat fails.
func TestListenerThatLeaves(t *testing.T) {
	changes := &mongod.Changes{}
	database, err := mongod.Start(changes.Answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), ports+"tenants:\n  - {slug: a, domains: [a.localhost], mongo_uri: '"+database.URI("a")+"'}\n")
	i := serveIn(t, folder)
	_, port, _ := net.SplitHostPort(i.https)
	open := func(n int) func() error {
		return func() error {
			if got := changes.Open(); got != n {
				return fmt.Errorf("%d change streams are open", got)
			}
			return nil
		}
	}
	for major := 1; major <= 2; major++ {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			if major == 1 && runtime.GOOS != "linux" {
				t.Skip("clients on HTTP/1.1 are watched on Linux only")
			}
			transport := i.client.Transport.(*http.Transport).Clone()
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetHTTP1(major == 1)
			transport.Protocols.SetHTTP2(major == 2)
			t.Cleanup(transport.CloseIdleConnections)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			request, err := http.NewRequestWithContext(ctx, "GET", "https://a.localhost:"+port+"/api/faq/_events", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.ProtoMajor != major {
				t.Fatalf("the client speaks %s", response.Proto)
			}
			eventually(t, "the change stream to open", open(1))
			begun := time.Now()
			leave()
			eventually(t, "the change stream to end", open(0))
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %v to notice that the client has left", took)
			}
		})
	}
}

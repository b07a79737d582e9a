package compress

import "testing"

func TestCompressible(t *testing.T) {
	f := func(contentType string, want bool) {
		t.Helper()
		if got := compressible([]byte(contentType)); got != want {
			t.Errorf("%q: %v", contentType, got)
		}
	}
	f("text/html; charset=utf-8", true)
	f("TEXT/HTML", true)
	f("text/css", true)
	f("text/x-component", true) // React Server Components
	f("application/json", true)
	f("Application/JSON ;charset=utf-8", true)
	f("application/ld+json", true)
	f("application/manifest+json; charset=utf-8", true)
	f("application/rss+xml", true)
	f("image/svg+xml", true)
	f("application/javascript", true)
	f("application/wasm", true)
	f("font/ttf", true)
	f("image/x-icon", true)

	f("text/event-stream", false)
	f("text/event-stream; charset=utf-8", false)
	f("Text/Event-Stream ; x=y", false)
	f("font/woff2", false)
	f("font/woff", false)
	f("image/png", false)
	f("image/avif", false)
	f("video/mp4", false)
	f("application/zip", false)
	f("application/gzip", false)
	f("application/pdf", false)
	f("application/octet-stream", false)
	f("application/grpc+proto", false)
	f("multipart/byteranges; boundary=x", false)
	f("", false)
	f(";", false)
	f("application/json-but-a-very-much-longer-name-than-there-is", false)
}

package compress

import (
	"bytes"

	"metahub/gateway/grammar"
)

// compressible reports whether bodies of a Content-Type get shorter. Media that are compressed by nature stay as they are, and so do
// types that nobody has named here: compressing for nothing costs both sides time.
func compressible(contentType []byte) bool {
	media, _, _ := bytes.Cut(contentType, semicolon)
	media = grammar.Trim(media)
	if grammar.HasPrefixFold(media, "text/") {
		// Each event has to leave at once, and some readers of events know no codings.
		return !grammar.EqualFold(media, "text/event-stream")
	}
	if suffix := bytes.LastIndexByte(media, '+'); suffix >= 0 {
		return grammar.EqualFold(media[suffix:], "+json") || grammar.EqualFold(media[suffix:], "+xml") || grammar.EqualFold(media[suffix:], "+text")
	}
	var lower [40]byte
	if len(media) > len(lower) {
		return false
	}
	for i, c := range media {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return listed(lower[:len(media)])
}

func listed(media []byte) bool {
	switch string(media) {
	case "application/javascript", "application/x-javascript", "application/ecmascript", "application/json", "application/x-ndjson",
		"application/ndjson", "application/jsonl", "application/xml", "application/wasm", "application/yaml", "application/toml",
		"application/graphql", "application/sql", "application/rtf", "application/x-sh", "application/x-httpd-php", "application/geo+json",
		"application/vnd.ms-fontobject", "application/x-font-ttf", "application/x-font-otf", "font/ttf", "font/otf", "font/collection",
		"image/bmp", "image/x-icon", "image/vnd.microsoft.icon", "model/stl", "model/obj":
		return true
	}
	return false
}

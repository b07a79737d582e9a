package upload

import (
	"bytes"
	"encoding/binary"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"path"
	"slices"
)

// types are the media types of what is kept, by the extension that its content gives it. What a browser runs, like SVG and HTML, is none.
var types = map[string]string{
	".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".pdf": "application/pdf",
}

// TypeOf is the media type of a file, or "" where the name has none that is kept.
func TypeOf(name string) string { return types[path.Ext(name)] }

// headSize is how much of a file is looked at.
const headSize = 64 << 10

// extension decides by the head of a file what it is; "" is nothing that is kept.
func extension(head []byte, size int64) string {
	switch {
	case bytes.HasPrefix(head, []byte("%PDF-1.")), bytes.HasPrefix(head, []byte("%PDF-2.")):
		return ".pdf"
	case markup(head):
		return ""
	case isWebP(head, size):
		return ".webp"
	case isAVIF(head, size):
		return ".avif"
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(head))
	if err != nil || config.Width == 0 || config.Height == 0 {
		return ""
	}
	return map[string]string{"jpeg": ".jpg", "png": ".png", "gif": ".gif"}[format]
}

// markup reports whether a head is that of a page too: a file that is a picture to us and a page to a browser is nobody's photograph.
func markup(head []byte) bool {
	lower := bytes.ToLower(head[:min(len(head), 1024)])
	return slices.ContainsFunc([]string{"<script", "<html", "<!doctype", "<svg", "<iframe", "<body"}, func(tag string) bool {
		return bytes.Contains(lower, []byte(tag))
	})
}

// isWebP knows a RIFF container that ends where the file ends.
func isWebP(head []byte, size int64) bool {
	if len(head) < 16 || string(head[:4]) != "RIFF" || string(head[8:15]) != "WEBPVP8" {
		return false
	}
	length := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	return length == size || length+1 == size
}

// isAVIF knows a file that begins with the box of its brands (ISO/IEC 14496-12 §4.3), of which AVIF is one.
func isAVIF(head []byte, size int64) bool {
	if len(head) < 16 || string(head[4:8]) != "ftyp" {
		return false
	}
	length := int64(binary.BigEndian.Uint32(head))
	if length < 16 || length > 256 || length%4 != 0 || length >= size || length > int64(len(head)) {
		return false
	}
	for at := int64(8); at < length; at += 4 {
		if brand := string(head[at : at+4]); at != 12 && (brand == "avif" || brand == "avis") { // at 12 is a version
			return true
		}
	}
	return false
}

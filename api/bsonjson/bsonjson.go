// Package bsonjson turns BSON into the JSON that browsers expect, and JSON from browsers into BSON.
//
//	body, err = bsonjson.Append(body[:0], raw, bsonjson.Options{Hide: secrets})
//	doc, err := bsonjson.Parse(request, bsonjson.DefaultLimits)
//
// Append walks the bytes as they came over the wire: nothing is decoded in between and nothing is allocated beyond dst. Neither
// direction trusts its input, and neither speaks MongoDB Extended JSON.
package bsonjson

package tenant

import (
	"fmt"
	"strconv"
	"strings"
)

// cacheDirectives are those of a response that browsers and caches know, and whether each takes seconds (RFC 9111 §5.2.2, RFC 8246,
// RFC 5861).
var cacheDirectives = map[string]bool{
	"public": false, "private": false, "no-cache": false, "no-store": false, "no-transform": false, "immutable": false,
	"must-revalidate": false, "proxy-revalidate": false, "must-understand": false,
	"max-age": true, "s-maxage": true, "stale-while-revalidate": true, "stale-if-error": true,
}

// checkControl checks a value of Cache-Control. A directive that nobody knows is ignored by caches without a word, so a typing mistake
// must be told here.
func checkControl(text string) error {
	const form = "write it like \"public, max-age=3600\" or \"no-cache\""
	for item := range strings.SplitSeq(text, ",") {
		name, seconds, hasSeconds := strings.Cut(strings.TrimSpace(item), "=")
		takesSeconds, known := cacheDirectives[strings.ToLower(name)]
		switch {
		case !known:
			return fmt.Errorf("%q has a directive that is not known, %q: %s", clip(text), clip(name), form)
		case takesSeconds != hasSeconds:
			return fmt.Errorf("%q is wrong at %q, which %s: %s", clip(text), name, map[bool]string{true: "needs seconds", false: "takes no value"}[takesSeconds], form)
		case hasSeconds:
			if _, err := strconv.ParseUint(seconds, 10, 31); err != nil {
				return fmt.Errorf("%q is wrong at %q, whose seconds are a whole number up to 2147483647: %s", clip(text), name, form)
			}
		}
	}
	return nil
}

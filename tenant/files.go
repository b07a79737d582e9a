package tenant

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Files says how a tenant's folder is served. Its zero value serves each file at its own name, and nothing else.
type Files struct {
	// CleanURLs has /about answered with about.html.
	CleanURLs bool `json:"clean_urls"`
	// SPA is the page, a slash-separated name within the folder, that answers navigations to what is not there; empty for none.
	SPA string `json:"spa,omitempty"`
	// Listing has folders without an index listed.
	Listing bool `json:"listing,omitempty"`
	// Cache are the administrator's own rules for Cache-Control; the first that matches goes before the built-in ones.
	Cache []CacheRule `json:"cache,omitempty"`
}

// CacheRule is a value of Cache-Control (RFC 9111 §5.2) for the files that a pattern matches.
type CacheRule struct {
	// Match is compared with a file's path in the folder, "/assets/logo.svg"; a pattern without a slash with the last element alone. In it
	// "*" stands for any characters but a slash, "**" for any at all.
	Match string `json:"match"`
	// Control is the value.
	Control string `json:"control"`
}

// defaultFiles is what holds for a tenant of which nothing is said.
func defaultFiles() Files { return Files{CleanURLs: true} }

func (f *Files) same(other *Files) bool {
	return f.CleanURLs == other.CleanURLs && f.SPA == other.SPA && f.Listing == other.Listing && slices.Equal(f.Cache, other.Cache)
}

// check finds what no declaration could say.
func (f *Files) check() error {
	var err error
	if f.SPA != "" {
		err = checkPage(f.SPA)
	}
	for _, rule := range f.Cache {
		err = errors.Join(err, checkPattern(rule.Match), checkControl(rule.Control))
	}
	return err
}

const (
	keyFilesCleanURLs = iota
	keyFilesSPA
	keyFilesListing
	keyFilesCache
)

var filesKeys = []string{keyFilesCleanURLs: "clean_urls", keyFilesSPA: "spa", keyFilesListing: "listing", keyFilesCache: "cache"}

// serving reads what the entry says of its files, key by key in place of what defaults: says.
func (e *entry) serving() {
	n := e.fields[keyFiles]
	if n == nil {
		return
	}
	fields := e.mapping(n, "files", filesKeys)
	if truth, ok := e.boolean(fields[keyFilesCleanURLs], "files.clean_urls"); ok {
		e.tenant.Files.CleanURLs = truth
	}
	if truth, ok := e.boolean(fields[keyFilesListing], "files.listing"); ok {
		e.tenant.Files.Listing = truth
	}
	if v, ok := e.decoder.text(fields[keyFilesSPA], "files.spa"); ok {
		e.tenant.Files.SPA = e.decoder.page(v, "files.spa")
	}
	if rules := fields[keyFilesCache]; rules != nil {
		e.tenant.Files.Cache = e.cacheRules(rules, "files.cache")
	}
}

// compileDefaultFiles returns how each tenant's folder is served unless it says otherwise.
func (s *settings) compileDefaultFiles() Files {
	f := Files{CleanURLs: s.boolean("defaults.files.clean_urls"), Listing: s.boolean("defaults.files.listing")}
	if v := s.text("defaults.files.spa"); v.text != "" {
		f.SPA = s.decoder.page(v, "defaults.files.spa")
	}
	for _, n := range s.nodes["defaults.files.cache"] {
		f.Cache = append(f.Cache, s.decoder.cacheRule(n, "defaults.files.cache"))
	}
	s.decoder.boundRules(len(f.Cache), s.at("defaults.files.cache", 0), "defaults.files.cache")
	return f
}

// page reads the name of a page within a folder; "off" is none.
func (d *decoder) page(v value, key string) string {
	if v.text == "off" {
		return ""
	}
	if err := checkPage(v.text); err != nil {
		d.fault(v.at, "%s %v", key, err)
	}
	return v.text
}

func checkPage(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.ContainsAny(name, "\\:\x00") {
		return fmt.Errorf("%q is not the name of a page in the folder: write it like \"index.html\"", clip(name))
	}
	return nil
}

const (
	maxCacheRules = 100
	maxPatternLen = 200
)

// cacheRules reads a list of rules.
func (d *decoder) cacheRules(n *yaml.Node, key string) []CacheRule {
	if n.Kind != yaml.SequenceNode {
		d.fault(d.place(n), "%s is %s: write a list, one {match: \"/assets/**\", control: \"public, max-age=3600\"} an item", key, kindOf(n))
		return nil
	}
	d.boundRules(len(n.Content), d.place(n), key)
	rules := make([]CacheRule, 0, len(n.Content))
	for _, item := range n.Content {
		rules = append(rules, d.cacheRule(item, key))
	}
	return rules
}

func (d *decoder) boundRules(count int, at place, key string) {
	if count > maxCacheRules {
		d.fault(at, "%s has %d rules: write at most %d, with ** where one can stand for many", key, count, maxCacheRules)
	}
}

func (d *decoder) cacheRule(n *yaml.Node, key string) (rule CacheRule) {
	before := len(*d.faults)
	fields := d.mapping(n, "an item of "+key, []string{"match", "control"})
	match, hasMatch := d.text(fields[0], key+".match")
	control, hasControl := d.text(fields[1], key+".control")
	if !hasMatch || !hasControl {
		if len(*d.faults) == before {
			d.fault(d.place(n), "an item of %s needs both match and control: write it like {match: \"/assets/**\", control: \"public, max-age=3600\"}", key)
		}
		return rule
	}
	if err := checkPattern(match.text); err != nil {
		d.fault(match.at, "%s.match %v", key, err)
	}
	if err := checkControl(control.text); err != nil {
		d.fault(control.at, "%s.control %v", key, err)
	}
	return CacheRule{Match: match.text, Control: control.text}
}

func checkPattern(text string) error {
	if text == "" || len(text) > maxPatternLen || !strings.HasPrefix(text, "/") && strings.Contains(text, "/") {
		return fmt.Errorf("%q is not a pattern: begin it with \"/\", like \"/assets/**\", or write one without a slash for files of any folder, like \"*.woff2\", in at most %d bytes",
			clip(text), maxPatternLen)
	}
	return nil
}

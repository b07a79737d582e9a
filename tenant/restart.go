package tenant

import (
	"fmt"
	"reflect"
)

// keepRunning returns the settings of a reload, with those of the running process in place of what only a restart can change.
func (v *Verdict) keepRunning(running, next Gateway) Gateway {
	for _, f := range fixedSettings(&running, &next) {
		if sentence := f.change(); sentence != "" {
			v.Restart = append(v.Restart, sentence)
		}
	}
	next.HTTPS, next.HTTP, next.Admin = running.HTTPS, running.HTTP, running.Admin
	next.HTTP2, next.HTTP3, next.Certificates = running.HTTP2, running.HTTP3, running.Certificates
	next.Data, next.Models, next.Demo = running.Data, running.Models, running.Demo
	return next
}

// fixed is a setting that a running process keeps, as it is and as the file has it now.
type fixed struct {
	key           string
	running, next any // Secret, and what holds one, is never told
}

// fixedSettings lists all of them.
func fixedSettings(running, next *Gateway) []fixed {
	r, n := &running.Certificates, &next.Certificates
	limits := fixed{certificatesKey + "limits", r.Limits, n.Limits}
	if r.Limits == r.usualLimits() && n.Limits == n.usualLimits() {
		limits.next = limits.running // they follow the issuer, whose change is told as that
	}
	return []fixed{
		{"gateway.https", running.HTTPS, next.HTTPS},
		{"gateway.http", running.HTTP, next.HTTP},
		{"gateway.admin", running.Admin, next.Admin},
		{"gateway.http2", running.HTTP2, next.HTTP2},
		{"gateway.http3", onOff(running.HTTP3.Enabled), onOff(next.HTTP3.Enabled)},
		{"gateway.http3.alt_svc_port", running.HTTP3.Port, next.HTTP3.Port},
		{certificatesKey + "issuer", r.Issuer, n.Issuer},
		{certificatesKey + "fallback", r.Fallback, n.Fallback},
		{certificatesKey + "folder", r.Folder, n.Folder},
		{certificatesKey + "storage", r.storage(), n.storage()},
		{certificatesKey + "storage_key", r.StorageKey, n.StorageKey},
		{certificatesKey + "ca_root", r.CARoot, n.CARoot},
		{certificatesKey + "email", r.Email, n.Email},
		{certificatesKey + "eab", r.EAB, n.EAB},
		{certificatesKey + "fallback_eab", r.FallbackEAB, n.FallbackEAB},
		{certificatesKey + "profile", r.Profile, n.Profile},
		{certificatesKey + "key", r.Key, n.Key},
		{certificatesKey + "staging", r.Staging, n.Staging},
		{certificatesKey + "challenges", r.Challenges, n.Challenges},
		{certificatesKey + "dns", r.DNS, n.DNS},
		{certificatesKey + "rehearsal", r.Rehearsal, n.Rehearsal},
		{certificatesKey + "resolver", r.Resolver, n.Resolver},
		{certificatesKey + "addresses", r.Addresses, n.Addresses},
		{certificatesKey + "validation_port", r.ValidationPort, n.ValidationPort},
		limits,
		{"gateway.data", running.Data, next.Data},
		{"gateway.models", running.Models, next.Models},
		{"gateway.demo", running.Demo, next.Demo},
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// storage is where the storage is, or zero where it follows the folder, whose change is told as that.
func (c *Certificates) storage() Secret {
	if c.StorageFolder == c.Folder {
		return c.StorageURI
	}
	return NewSecret(c.StorageFolder + c.StorageURI.Reveal())
}

// change is the sentence for an administrator, or "" where nothing has changed.
func (f fixed) change() string {
	if reflect.DeepEqual(f.running, f.next) {
		return ""
	}
	switch f.next.(type) {
	case Secret, EAB, []DNSProvider:
		return fmt.Sprintf("%s changed: restart to apply", f.key)
	case string:
		return fmt.Sprintf("%s changed from %q to %q: restart to apply", f.key, f.running, f.next)
	}
	return fmt.Sprintf("%s changed from %v to %v: restart to apply", f.key, f.running, f.next)
}

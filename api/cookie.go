package api

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// The cookies that sign in. They have these names where they are the earlier service's; else hostPrefix is before them, which makes browsers
// refuse one that another host of the same site has set (RFC 6265bis §4.1.3.2).
const (
	accessCookie  = "accessToken"
	refreshCookie = "refreshToken"
	hostPrefix    = "__Host-"
)

// legacyLifetime is that of the earlier service's cookie.
const legacyLifetime = 30 * 24 * time.Hour

// cookieName has the tenant in it on a host that all tenants share: a browser keeps one cookie of a name for a host, so that signing in at
// one tenant would sign out at another. The earlier service's cookies keep their names everywhere.
func (r *request) cookieName(name string) string {
	if r.tenant.Cookies == tenant.LegacyCookies {
		return name
	}
	if host, _, err := tenant.CanonicalHost(nil, r.http.Host()); err == nil && r.directory.IsAPIHost(host) {
		return hostPrefix + name + "-" + r.tenant.Slug
	}
	return hostPrefix + name
}

// cookie returns the value of a cookie that signs in.
func (r *request) cookie(name string) string {
	return string(r.http.Request.Header.Cookie(r.cookieName(name)))
}

// setCookies hands the tokens to a browser. Scripts cannot read them.
func (r *request) setCookies(access, refresh string) {
	lifetime := tokenLifetime
	if r.tenant.Cookies == tenant.LegacyCookies {
		lifetime = legacyLifetime
	}
	r.setCookie(refreshCookie, refresh, sessionLifetime)
	r.setCookie(accessCookie, access, lifetime)
}

// clearCookies takes them back.
func (r *request) clearCookies() {
	r.setCookie(refreshCookie, "", -time.Second)
	r.setCookie(accessCookie, "", -time.Second)
}

func (r *request) setCookie(name, value string, lifetime time.Duration) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(r.cookieName(name))
	c.SetValue(value)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSecure(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	if r.tenant.Cookies == tenant.LegacyCookies {
		c.SetDomain(cookieDomain(r))
		c.SetSameSite(fasthttp.CookieSameSiteNoneMode)
		if name == refreshCookie {
			c.SetPath("/api/users") // no other server of the domain needs it
		}
	}
	c.SetMaxAge(int(lifetime.Seconds()))
	if value == "" {
		c.SetExpire(fasthttp.CookieExpireDelete)
	}
	r.http.Response.Header.SetCookie(c)
}

// cookieDomain is the tenant's, on the hosts that it covers. On its others, and on a shared API host, a browser would refuse a cookie
// for it (RFC 6265 §5.3), so there the cookie is for the host alone.
func cookieDomain(r *request) string {
	domain := r.tenant.CookieDomain
	host, _, err := tenant.CanonicalHost(nil, r.http.Host())
	if err != nil || domain == "" {
		return ""
	}
	if name := "." + string(host); !strings.HasSuffix(name, "."+domain) {
		return ""
	}
	return domain
}

package e2e

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// nextTenants share one Next.js 15 app.
var nextTenants = []string{"ensotek", "anastasia"}

// A Next.js 15 app as the frontend of two tenants, with a Node server beside it for what Next.js has no place for.
func TestNextJS(t *testing.T) {
	app := buildNextApp(t)
	next := startNext(t, app, freeAddr(t))
	realtime := startRealtime(t, app, freeAddr(t))
	p := serveNext(t, "engine", next, realtime)
	for _, protocol := range []string{"h2", "h3", "http/1.1"} {
		t.Run("browser "+protocol, func(t *testing.T) { browseNext(t, p, protocol) })
	}
	t.Run("browser h2, http2: standard", func(t *testing.T) {
		p := serveNext(t, "standard", next, realtime)
		tab := openNext(t, p, "h2").open(t)
		useHomePage(tab, p, nextTenants[0])
		seeStreaming(tab, p, nextTenants[0], "h2")
		seeProtocol(tab, "h2")
	})
	t.Run("cached and static", func(t *testing.T) { fetchFromNext(t, p) })
	t.Run("server action from elsewhere", func(t *testing.T) { forgeActions(t, p) })
	t.Run("restarts", func(t *testing.T) { restartNext(t, p, next) })
	if t.Failed() {
		t.Logf("next start wrote\n%s", next.output)
	}
}

// serveNext runs metahub in front of the app, with a server of HTTP/2.
func serveNext(t *testing.T, server string, next, realtime *nodeServer) *process {
	t.Helper()
	p := prepare(t)
	p.env = []string{"METAHUB_GATEWAY_HTTP2=" + server}
	config := "tenants:\n"
	for _, slug := range nextTenants {
		config += fmt.Sprintf("  - slug: %s\n    domains: [%s.localhost]\n    frontend: http://%s\n    backend: http://%s\n    hold: 1m\n    timeout: 5m\n",
			slug, slug, next.address, realtime.address)
	}
	p.writeConfig(config)
	p.run()
	return p
}

// browseNext does in a browser what visitors of both tenants do.
func browseNext(t *testing.T, p *process, protocol string) {
	b := openNext(t, p, protocol)
	for _, slug := range nextTenants {
		tab := b.open(t)
		useHomePage(tab, p, slug)
		seeStreaming(tab, p, slug, protocol)
		seeEvents(tab, protocol)
		useSockets(tab, p, slug)
		tab.visit(p.url(slug, "/news"))
		await(tab, text("#news"), "news of "+slug)
		seeProtocol(tab, protocol)
	}
}

// openNext starts a browser that speaks one protocol with both tenants.
func openNext(t *testing.T, p *process, protocol string) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	var authorities []string
	for _, slug := range nextTenants {
		authorities = append(authorities, authority(p, slug))
	}
	return openBrowser(t, chromium, p, protocolFlags(protocol, strings.Join(authorities, ","))...)
}

// seeProtocol has the page and all that it is made of come over one protocol.
func seeProtocol(tab *page, protocol string) {
	tab.t.Helper()
	if spoken := get[string](tab, `performance.getEntries().map(e => e.nextHopProtocol).filter(Boolean).filter((p, i, all) => all.indexOf(p) == i).join()`); spoken != protocol {
		tab.t.Errorf("%s came over %s, want %s", get[string](tab, "location.href"), spoken, protocol)
	}
}

func authority(p *process, slug string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.url(slug, "/"), "https://"), "/")
	return name
}

// text is the JavaScript for what an element of the page reads.
func text(selector string) string {
	return fmt.Sprintf("document.querySelector(%q)?.innerText", selector)
}

func useHomePage(tab *page, p *process, slug string) {
	tab.t.Helper()
	tab.visit(p.url(slug, "/"))
	await(tab, text("#tenant"), slug)
	await(tab, text("#host"), authority(p, slug))
	await(tab, text("#origin"), "https://"+authority(p, slug))
	await(tab, `(() => { const i = document.querySelector("#photo"); return i.complete && i.naturalWidth > 0 && i.currentSrc.includes("/_next/image?") })()`, true)

	await(tab, hydrated, true)
	get[bool](tab, `window.sameDocument = true`)
	get[bool](tab, `document.querySelector("#to-about").click(), true`)
	await(tab, text("#about"), "about "+slug)
	await(tab, `location.pathname + window.sameDocument`, "/abouttrue") // navigated by the client, without a new document
	get[bool](tab, `document.querySelector("#to-home").click(), true`)
	await(tab, text("#tenant"), slug)

	get[bool](tab, `document.querySelector("#name").value = "Ada Lovelace", document.querySelector("#greet").click(), true`)
	await(tab, text("#greeting"), slug+" greets Ada Lovelace")
	get[bool](tab, `document.querySelector("#leave").click(), true`)
	await(tab, `location.pathname + location.search + window.sameDocument`, "/about?lefttrue")
	await(tab, text("#about"), "about "+slug)
}

// hydrated tells that React has taken the page over: before it, a click is the browser's.
const hydrated = `Object.keys(document.querySelector("#to-about") ?? {}).some(key => key.startsWith("__reactProps"))`

// seeStreaming sees a page while the server still renders a part of it, which comes half a second later at least.
func seeStreaming(tab *page, p *process, slug, protocol string) {
	tab.t.Helper()
	gate := fmt.Sprintf("%s-%s-%d", slug, strings.ReplaceAll(protocol, "/", ""), portOf(tab.t, p.https))
	tab.visit(p.url(slug, "/stream?gate="+gate))
	await(tab, `document.querySelector("#shell")?.checkVisibility() && document.querySelector("#fallback")?.checkVisibility()`, true)
	const alone = `document.querySelector("#fallback").checkVisibility() && !document.querySelector("#late") && document.readyState == "loading"`
	if !get[bool](tab, `new Promise(done => setTimeout(() => done(`+alone+`), 600))`) {
		tab.t.Errorf("%s: what is late came with the shell", slug)
	}
	waited := get[float64](tab, `(async () => {
		const began = performance.now()
		await fetch("/release?gate=`+gate+`", { method: "POST" })
		while (!document.querySelector("#late")?.checkVisibility()) await new Promise(next => setTimeout(next, 5))
		return performance.now() - began
	})()`)
	await(tab, `document.querySelector("#fallback") == null && document.readyState == "complete"`, true)
	tab.t.Logf("%s over %s: what was late is on the page %.0f ms after its release", slug, protocol, waited)
}

// seeEvents receives server-sent events, each with the time at which the app has sent it.
func seeEvents(tab *page, protocol string) {
	tab.t.Helper()
	fields := get[[]string](tab, `fetch("/events").then(async r => { await r.body.cancel(); return [r.headers.get("content-type"), r.headers.get("content-encoding") ?? ""] })`)
	if fields[0] != "text/event-stream" || fields[1] != "" {
		tab.t.Errorf("events come as %q, coded %q", fields[0], fields[1])
	}
	delays := get[[]float64](tab, `new Promise((done, fail) => {
		const delays = [], source = new EventSource("/events")
		source.onmessage = event => delays.push(Date.now() - Number(event.data))
		source.onerror = () => { source.close(); done(delays) }
		setTimeout(() => fail("no end of events"), 30000)
	})`)
	slices.Sort(delays)
	if len(delays) != 20 {
		tab.t.Fatalf("%d events of 20 came", len(delays))
	}
	if median := delays[10]; median >= 100 {
		tab.t.Errorf("half of the events took %.0f ms and more: %v", median, delays)
	}
	tab.t.Logf("events over %s: median %.0f ms, longest %.0f ms", protocol, delays[10], delays[19])
}

// useSockets uses a WebSocket, and Socket.IO, which begins by polling and goes on over a WebSocket.
func useSockets(tab *page, p *process, slug string) {
	tab.t.Helper()
	tab.visit(p.url(slug, "/live"))
	await(tab, text("#echoed"), slug+", over a WebSocket")
	await(tab, text("#steps"), "polling, "+slug+", websocket, over Socket.IO")
}

// fetchFromNext looks at the fields of what a page is made of.
func fetchFromNext(t *testing.T, p *process) {
	for _, slug := range nextTenants {
		client := p.client("HTTP/2.0")
		home := do(t, client, "GET", p.url(slug, "/"), "")
		if host, tenant := home.Header.Get("X-Seen-Host"), home.Header.Get("X-Seen-Tenant"); host != authority(p, slug) || tenant != slug {
			t.Errorf("%s: the middleware saw host %q of tenant %q", slug, host, tenant)
		}
		chunk := chunkNames.FindString(string(home.Body))
		if a := do(t, client, "GET", p.url(slug, chunk), ""); a.Status != 200 || a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %q: %d, Cache-Control %q", slug, chunk, a.Status, a.Header.Get("Cache-Control"))
		}
		a := do(t, client, "GET", p.url(slug, "/_next/image?url=%2Fphoto.png&w=128&q=75"), "", "Accept: image/webp,*/*")
		if a.Status != 200 || a.Header.Get("Content-Type") != "image/webp" || len(a.Body) == 0 {
			t.Errorf("%s: the image: %d %s, %d bytes", slug, a.Status, a.Header.Get("Content-Type"), len(a.Body))
		}
		for _, path := range []string{"/old", "/go"} { // by the middleware, and by a route handler
			if a := do(t, client, "GET", p.url(slug, path), ""); a.Status != 307 || a.Header.Get("Location") != "/about" {
				t.Errorf("%s: %s: %d to %q", slug, path, a.Status, a.Header.Get("Location"))
			}
		}
		do(t, client, "POST", p.url(slug, "/release?gate=open"), "")
		a = do(t, client, "GET", p.url(slug, "/stream?gate=open"), "", "Accept-Encoding: zstd")
		if a.Status != 200 || a.Header.Get("Content-Encoding") != "zstd" {
			t.Errorf("%s: the streamed page: %d, coded %q", slug, a.Status, a.Header.Get("Content-Encoding"))
		}
		for range 2 { // rendered and kept
			if a := do(t, client, "GET", p.url(slug, "/news"), ""); a.Status != 200 || !contains(string(a.Body), "news of "+slug) {
				t.Errorf("%s: the news: %d %s", slug, a.Status, a.Body)
			}
		}
	}
}

// forgeActions sends a server action as a form without JavaScript does, from the site's own page and from others.
func forgeActions(t *testing.T, p *process) {
	const slug = "ensotek"
	client := p.client("HTTP/2.0")
	home := do(t, client, "GET", p.url(slug, "/"), "")
	action := regexp.MustCompile(`\$ACTION_ID_[0-9a-f]+`).FindString(string(home.Body))
	if action == "" {
		t.Fatalf("no server action in the page:\n%s", home.Body)
	}
	var form bytes.Buffer
	fields := multipart.NewWriter(&form)
	if err := fields.WriteField(action, ""); err != nil {
		t.Fatal(err)
	}
	if err := fields.Close(); err != nil {
		t.Fatal(err)
	}
	f := func(status int, headers ...string) {
		t.Helper()
		req, err := http.NewRequest("POST", p.url(slug, "/"), bytes.NewReader(form.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", fields.FormDataContentType())
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%v: %d, want %d", headers, resp.StatusCode, status)
		}
		if status == 303 && resp.Header.Get("Location") != "/about?left" {
			t.Errorf("%v: to %q", headers, resp.Header.Get("Location"))
		}
	}
	f(303, "Origin: https://"+authority(p, slug))
	f(500, "Origin: https://evil.example")
	f(500, "Origin: https://evil.example", "X-Forwarded-Host: evil.example")
	f(500, "Origin: https://"+authority(p, "anastasia"), "X-Forwarded-Host: "+authority(p, "anastasia"))
}

var chunkNames = regexp.MustCompile(`/_next/static/chunks/[^"\\]+\.js`)

// restartNext deploys the app ten times under 200 requests a second, as browsers make them: a page, what it is made of, and a picture.
func restartNext(t *testing.T, p *process, next *nodeServer) {
	home := do(t, p.client("HTTP/2.0"), "GET", p.url(nextTenants[0], "/"), "")
	chunks := chunkNames.FindAllString(string(home.Body), -1)
	slices.Sort(chunks)
	chunks = slices.Compact(chunks)
	load := visit(t, p, 200, append(chunks, "/about", "/_next/image?url=%2Fphoto.png&w=128&q=75"))
	for range 10 {
		load.await(t, 100)
		next.stop()
		next.start()
	}
	load.await(t, 100)
	sent, elapsed, longest := load.stop()
	t.Logf("%d requests in %v, %.0f a second, to a page of %d chunks; the longest took %v",
		sent, elapsed.Round(time.Second), float64(sent)/elapsed.Seconds(), len(chunks), longest.Round(time.Millisecond))
}

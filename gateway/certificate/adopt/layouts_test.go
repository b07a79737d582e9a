package adopt

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"metahub/gateway/certificate/record"
)

func TestCertbot(t *testing.T) {
	ca := letsEncrypt(t)
	etc := filepath.Join(t.TempDir(), "letsencrypt")
	lineage(t, etc, "ensotek.de", ca.files("ensotek.de", "www.ensotek.de"), ca.changed(until(5), "ensotek.de", "old.ensotek.de"))
	lineage(t, etc, "radanor.de", ca.files("*.Radanor.de"), ca.changed(until(5), "*.radanor.de"))
	write(t, encodeKey(t, newKey(t)), etc, "accounts", "private_key.pem")
	write(t, encodeKey(t, newKey(t)), etc, "keys", "0000_key-certbot.pem")
	write(t, "archive_dir = x", etc, "renewal", "ensotek.de.conf")
	write(t, "read me", etc, "live", "README")

	live := filepath.Join(etc, "live")
	want := []string{
		"*.radanor.de certbot " + live + "/radanor.de",
		"ensotek.de certbot " + live + "/ensotek.de",
		"www.ensotek.de certbot " + live + "/ensotek.de",
	}
	for _, path := range []string{etc, live, filepath.Dir(etc)} {
		got := Find([]string{path}, today)
		expectFound(t, got, want...)
		expectUnread(t, got)
	}
	one := Find([]string{filepath.Join(live, "ensotek.de")}, today)
	expectFound(t, one, want[1:]...)
	expectUnread(t, one)

	r := one.Found[1].Record
	if r.Issuer != "letsencrypt" || r.Adopted != "certbot "+live+"/ensotek.de" || len(r.Chain) != 2 || !slices.Equal(one.Found[1].Names, []string{"ensotek.de", "www.ensotek.de"}) {
		t.Errorf("the record is %+v", r)
	}
	text, err := record.Format(r)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := record.Parse("www.ensotek.de", text); err != nil || kept.Adopted != r.Adopted {
		t.Errorf("stored and read again it is %+v, %v", kept, err)
	}

	// without fullchain.pem, the chain lies in a file of its own
	if err := os.Remove(filepath.Join(live, "radanor.de", "fullchain.pem")); err != nil {
		t.Fatal(err)
	}
	got := Find([]string{etc}, today)
	expectFound(t, got, want...)
	if len(got.Found[0].Record.Chain) != 2 {
		t.Error("chain.pem was not put behind cert.pem")
	}
}

func TestAcmeSh(t *testing.T) {
	ca := newAuthority(t, "ZeroSSL", "ZeroSSL ECC Domain Secure Site CA")
	home := filepath.Join(t.TempDir(), ".acme.sh")
	put := func(folder, domain string, f files, full bool) {
		write(t, f.cert, home, folder, domain+".cer")
		write(t, f.key, home, folder, domain+".key")
		write(t, f.chain, home, folder, "ca.cer")
		write(t, "Le_Domain='"+domain+"'", home, folder, domain+".conf")
		write(t, "csr", home, folder, domain+".csr")
		if full {
			write(t, f.full, home, folder, "fullchain.cer")
		}
	}
	put("ensotek.de", "ensotek.de", ca.changed(until(20), "ensotek.de"), true)
	put("ensotek.de_ecc", "ensotek.de", ca.files("ensotek.de"), true)
	put("*.radanor.de_ecc", "*.radanor.de", ca.files("*.radanor.de"), false) // leaf and chain apart
	write(t, encodeKey(t, newKey(t)), home, "ca", "acme.zerossl.com", "v2", "DV90", "account.key")
	write(t, "{}", home, "ca", "acme.zerossl.com", "v2", "DV90", "account.json")

	got := Find([]string{home}, today)
	expectFound(t, got, "*.radanor.de acme.sh "+home+"/*.radanor.de_ecc", "ensotek.de acme.sh "+home+"/ensotek.de_ecc")
	expectUnread(t, got, home+`/ensotek.de: holds an older certificate for "ensotek.de": the one in "`+home+`/ensotek.de_ecc" is newer`)
	for _, f := range got.Found {
		if f.Record.Issuer != "zerossl" || len(f.Record.Chain) != 2 {
			t.Errorf("%s: issuer %q, %d certificates", f.Record.Domain, f.Record.Issuer, len(f.Record.Chain))
		}
	}
}

func TestCaddy(t *testing.T) {
	data := filepath.Join(t.TempDir(), "caddy")
	put := func(issuer, domain string, f files) {
		folder := filepath.Join(data, "certificates", issuer, domain)
		write(t, f.full, folder, domain+".crt")
		write(t, f.key, folder, domain+".key")
		write(t, `{"sans": ["x"], "issuer_data": {}}`, folder, domain+".json")
	}
	const acme = "acme-v02.api.letsencrypt.org-directory"
	ca := letsEncrypt(t)
	put(acme, "ensotek.de", ca.files("ensotek.de"))
	put(acme, "wildcard_.ensotek.de", ca.files("*.ensotek.de"))
	put("acme-staging-v02.api.letsencrypt.org-directory", "try.ensotek.de", newAuthority(t, "(STAGING) Let's Encrypt", "(STAGING) Riddling Rhubarb R12").files("try.ensotek.de"))
	local := newAuthority(t, "", "Caddy Local Authority - ECC Intermediate")
	put("local", "localhost", local.files("localhost"))
	write(t, encode(local.root), data, "pki", "authorities", "local", "root.crt")
	write(t, encodeKey(t, local.rootKey), data, "pki", "authorities", "local", "root.key")
	write(t, `{"status":"valid"}`, data, "acme", acme, "users", "a@acme.test", "a.json")
	write(t, encodeKey(t, newKey(t)), data, "acme", acme, "users", "a@acme.test", "a.key")

	certificates := filepath.Join(data, "certificates")
	want := []string{"*.ensotek.de caddy " + certificates + "/" + acme + "/wildcard_.ensotek.de", "ensotek.de caddy " + certificates + "/" + acme + "/ensotek.de"}
	for _, path := range []string{data, certificates} {
		got := Find([]string{path}, today)
		expectFound(t, got, want...)
		expectUnread(t, got,
			certificates+`/acme-staging-v02.api.letsencrypt.org-directory/try.ensotek.de/try.ensotek.de.crt: was issued by a test CA, "(STAGING) Riddling Rhubarb R12"`,
			certificates+"/local/localhost/localhost.crt: was made by Caddy's own authority")
	}
	got := Find([]string{filepath.Join(certificates, acme)}, today)
	expectFound(t, got, want...)
	expectUnread(t, got)
}

func TestLego(t *testing.T) {
	ca := letsEncrypt(t)
	folder := filepath.Join(t.TempDir(), ".lego", "certificates")
	for domain, stem := range map[string]string{"ensotek.de": "ensotek.de", "*.ensotek.de": "_.ensotek.de"} {
		f := ca.files(domain)
		write(t, f.full, folder, stem+".crt")
		write(t, f.chain, folder, stem+".issuer.crt")
		write(t, f.key, folder, stem+".key")
		write(t, f.full+f.key, folder, stem+".pem")
		write(t, "{}", folder, stem+".json")
	}
	got := Find([]string{filepath.Dir(folder)}, today)
	expectFound(t, got, "*.ensotek.de lego "+folder+"/_.ensotek.de.crt", "ensotek.de lego "+folder+"/ensotek.de.crt")
	expectUnread(t, got)
}

func TestTraefik(t *testing.T) {
	ca := letsEncrypt(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "acme.json")
	one, two, three := ca.files("ensotek.de", "www.ensotek.de"), ca.files("*.ensotek.de"), ca.files("radanor.de")

	// versions 2 and 3: by resolver
	write(t, storeJSON(t, map[string][]files{"le": {one, two}, "Certificates": {three}, "empty": nil}), path)
	want := []string{"*.ensotek.de traefik " + path, "ensotek.de traefik " + path, "radanor.de traefik " + path, "www.ensotek.de traefik " + path}
	for _, given := range []string{path, folder} {
		got := Find([]string{given}, today)
		expectFound(t, got, want...)
		expectUnread(t, got)
	}

	// version 1
	var entries []any
	for _, f := range []files{one, two, three} {
		entries = append(entries, map[string]any{"Domain": map[string]any{"Main": mainName(t, f), "SANs": nil}, "Certificate": []byte(f.full), "Key": []byte(f.key)})
	}
	text, err := json.Marshal(map[string]any{"Account": map[string]any{"PrivateKey": []byte("AAAA")}, "Certificates": entries, "HTTPChallenge": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, string(text), path)
	got := Find([]string{path}, today)
	expectFound(t, got, want...)
	expectUnread(t, got)

	// of another name, which only the content tells
	write(t, string(text), folder, "store")
	expectFound(t, Find([]string{filepath.Join(folder, "store")}, today),
		"*.ensotek.de traefik "+folder+"/store", "ensotek.de traefik "+folder+"/store", "radanor.de traefik "+folder+"/store", "www.ensotek.de traefik "+folder+"/store")
}

func TestTraefikFaults(t *testing.T) {
	ca := letsEncrypt(t)
	path := filepath.Join(t.TempDir(), "acme.json")
	good, other, expired := ca.files("ensotek.de"), ca.files("other.de"), ca.changed(until(-3), "expired.de")
	mixed := files{full: other.full, key: good.key}
	torn := files{full: good.full[:len(good.full)/2], key: good.key}
	write(t, storeJSON(t, map[string][]files{"le": {mixed, expired, torn, {full: other.full, key: "x"}, good}}), path)
	got := Find([]string{path}, today)
	expectFound(t, got, "ensotek.de traefik "+path)
	expectUnread(t, got,
		path+`: the certificate of "other.de" (resolver "le") has a key that is not its own`,
		path+`: the certificate of "expired.de" (resolver "le") expired on 2031-05-17`,
		path+`: the certificate of "ensotek.de" (resolver "le") is cut short or damaged`,
		path+`: the certificate of "other.de" (resolver "le") has no key`)

	f := func(text string, found int, sentences ...string) {
		t.Helper()
		write(t, text, path)
		got := Find([]string{path}, today)
		for i := range sentences {
			sentences[i] = path + ": " + sentences[i]
		}
		if expectUnread(t, got, sentences...); len(got.Found) != found {
			t.Errorf("found %d, want %d", len(got.Found), found)
		}
	}
	whole := storeJSON(t, map[string][]files{"le": {good, other}})
	entry := `{"certificate": "` + base64.StdEncoding.EncodeToString([]byte(good.full)) + `", "key": "` + base64.StdEncoding.EncodeToString([]byte(good.key)) + `"}`
	// cut short: what came before is taken
	f(whole[:len(whole)-300], 1, "cannot be read to its end, 1 certificates came before: take a copy while Traefik is stopped (it is empty or cut short)")
	f("", 0, "cannot be read to its end")
	f("{", 0, "cannot be read to its end")
	f("[]", 0, "cannot be read to its end, 0 certificates came before: take a copy while Traefik is stopped (it is not an object)")
	f("{}", 0, "holds no certificate that could be taken")
	f(`{"le": {"Certificates": null}}`, 0, "holds no certificate that could be taken")
	// an entry of another form does not keep the next from being read
	f(`{"le": {"Certificates": [5, {"certificate": [], "key": {}}, {"certificate": "%%"}, null, `+entry+`]}}`, 1,
		`certificate 1 (resolver "le") is damaged`, `certificate 2 (resolver "le") is damaged`, `certificate 3 (resolver "le") is damaged`, `certificate 4 (resolver "le") is empty`)
	f(`{"le": {"Certificates": [`+entry+`, x]}}`, 1, "cannot be read to its end, 1 certificates came before: take a copy while Traefik is stopped (it is no JSON at byte")
	// what would fill the memory
	f(`{"le": {"Account": `+repeat("[", 1<<20), 0, "cannot be read to its end, 0 certificates came before: take a copy while Traefik is stopped (it is nested too deep)")
	f(`{"le": {"Certificates": ["`+repeat("A", maxEntry+1<<20)+`"]}}`, 0, "cannot be read to its end, 0 certificates came before: take a copy while Traefik is stopped (an entry is larger than")
}

func TestPEM(t *testing.T) {
	ca := newAuthority(t, "Customer GmbH", "Customer CA")
	folder := t.TempDir()
	at := func(path ...string) string { return filepath.Join(append([]string{folder}, path...)...) }
	var want []string
	expect := func(domain, path string) { want = append(want, domain+" pem "+path) }

	combined := ca.files("a.test")
	write(t, combined.key+combined.full, at("haproxy", "a.test.pem"))
	expect("a.test", at("haproxy", "a.test.pem"))
	for stem, extension := range map[string]string{"b.test": ".crt", "c.test": ".cer", "d.test": ".pem"} { // many pairs in one folder
		f := ca.files(stem)
		write(t, f.full, at("nginx", stem+extension))
		write(t, f.key, at("nginx", stem+".key"))
	}
	expect("b.test", at("nginx", "b.test.crt"))
	expect("c.test", at("nginx", "c.test.cer"))
	expect("d.test", at("nginx", "d.test.pem"))
	kubernetes := ca.files("e.test")
	write(t, kubernetes.full, at("kube", "..2031", "tls.crt"))
	write(t, kubernetes.key, at("kube", "..2031", "tls.key"))
	link(t, "..2031", at("kube", "..data"))
	link(t, "..data/tls.crt", at("kube", "tls.crt"))
	link(t, "..data/tls.key", at("kube", "tls.key"))
	expect("e.test", at("kube", "tls.crt"))
	apart := ca.files("f.test") // Debian's and Red Hat's folders, among the roots of the world
	write(t, apart.full, at("ssl", "certs", "f.test.pem"))
	write(t, apart.key, at("ssl", "private", "f.test.key"))
	write(t, encode(ca.root, ca.issuing, letsEncrypt(t).root), at("ssl", "certs", "ca-certificates.crt"))
	expect("f.test", at("ssl", "certs", "f.test.pem"))
	chained := ca.files("g.test") // the chain apart
	write(t, chained.cert, at("own", "g.test", "cert.pem"))
	write(t, chained.key, at("own", "g.test", "key.pem"))
	write(t, encode(ca.root)+chained.chain, at("own", "g.test", "ca-bundle.crt"))
	expect("g.test", at("own", "g.test", "cert.pem"))

	got := Find([]string{folder}, today)
	expectFound(t, got, want...)
	expectUnread(t, got)
	for _, f := range got.Found {
		if f.Record.Issuer != "" || len(f.Record.Chain) != 2 {
			t.Errorf("%s: issuer %q, %d certificates", f.Record.Domain, f.Record.Issuer, len(f.Record.Chain))
		}
	}

	// files given one by one find their keys beside them, and bring nothing else of the folder
	got = Find([]string{at("nginx", "b.test.crt"), at("own", "g.test", "cert.pem"), at("nginx", "c.test.cer")}, today)
	expectFound(t, got, want[1], want[2], want[6])
	expectUnread(t, got)
	got = Find([]string{at("nginx", "d.test.key")}, today)
	expectFound(t, got, want[3])
	// the same twice is no news
	got = Find([]string{folder, at("nginx"), folder, at("nginx", "b.test.crt")}, today)
	expectFound(t, got, want...)
	expectUnread(t, got)
}

func TestPebbleIsNotRefused(t *testing.T) {
	folder := t.TempDir()
	f := newAuthority(t, "", "Pebble Intermediate CA 28f2a5").files("ensotek.test")
	write(t, f.full, folder, "x.crt")
	write(t, f.key, folder, "x.key")
	expectFound(t, Find([]string{folder}, today), "ensotek.test pem "+folder+"/x.crt")
}

func TestMissingIssuerIsSaid(t *testing.T) {
	folder := t.TempDir()
	f := letsEncrypt(t).changed(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://e7.i.lencr.org/"} }, "ensotek.de")
	write(t, f.cert, folder, "x.crt")
	write(t, f.key, folder, "x.key")
	got := Find([]string{folder}, today)
	expectFound(t, got, "ensotek.de pem "+folder+"/x.crt")
	expectUnread(t, got, folder+`/x.crt: is taken without the certificate of its issuer, "E7"`)
}

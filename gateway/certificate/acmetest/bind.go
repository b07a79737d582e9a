package acmetest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// BIND is a BIND 9 on loopback with zones that a key may change (RFC 2136).
type BIND struct {
	// Address is where it answers, over UDP and TCP.
	Address string
	// Secret is that of the key "metahub", hmac-sha256, in base64.
	Secret string
}

// StartBIND runs named for zones until the test ends, and skips the test where it is not installed.
func StartBIND(t testing.TB, zones ...string) BIND {
	t.Helper()
	named, err := exec.LookPath("named")
	if err != nil {
		t.Skip("named (Debian: bind9) is not installed, so DNS-01 is not tested against a real DNS server")
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	b := BIND{Address: freeDNSPort(t), Secret: base64.StdEncoding.EncodeToString(secret)}
	host, port, _ := net.SplitHostPort(b.Address)
	folder := t.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, `options {
	directory %q; pid-file none; session-keyfile none; lock-file none;
	listen-on port %s { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-query { any; };
};
controls { };
key "metahub" { algorithm hmac-sha256; secret %q; };
`, folder, port, host, b.Secret)
	for _, zone := range zones {
		file := filepath.Join(folder, zone+".zone")
		text := fmt.Sprintf("$TTL 1\n@ IN SOA ns.%[1]s. admin.%[1]s. 1 60 60 60 1\n@ IN NS ns.%[1]s.\nns IN A 127.0.0.1\n", zone)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, "zone %q { type master; file %q; allow-update { key \"metahub\"; }; };\n", zone, file)
	}
	path := filepath.Join(folder, "named.conf")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, named, "-g", "-n", "1", "-c", path)
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); command.Wait() }()
	t.Cleanup(func() {
		stop()
		<-done
		if t.Failed() {
			t.Logf("named's log:\n%s", log)
		}
	})
	b.await(t, zones[len(zones)-1])
	return b
}

// freeDNSPort finds a port that is free for UDP and TCP.
func freeDNSPort(t testing.TB) string {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		packets, err := net.ListenPacket("udp", address)
		listener.Close()
		if err == nil {
			packets.Close()
			return address
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// TXT returns the records of a name.
func (b BIND) TXT(t testing.TB, name string) (records []string) {
	t.Helper()
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	answer, _, err := (&dns.Client{Net: "tcp"}).Exchange(question, b.Address)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Answer {
		records = append(records, r.String())
	}
	return records
}

func (b BIND) await(t testing.TB, zone string) {
	t.Helper()
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		answer, _, err := (&dns.Client{Timeout: 200 * time.Millisecond}).Exchange(question, b.Address)
		if err == nil && len(answer.Answer) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("named does not answer: %v", err)
		}
	}
}

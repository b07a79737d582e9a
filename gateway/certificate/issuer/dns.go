package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/caddyserver/certmagic"
	"github.com/libdns/cloudflare"
	"github.com/libdns/hetzner"
	"github.com/libdns/libdns"
	"github.com/libdns/rfc2136"
	"github.com/libdns/route53"

	"metahub/tenant"
)

// DNSProvider sets and deletes the records that prove a domain by DNS-01. It may be used at once.
type DNSProvider = certmagic.DNSProvider

// opener sets up a provider with the settings of its kind.
type opener func(settings map[string]string) (DNSProvider, error)

// openers is how each kind is opened; package tenant says what it is set up with. It is a function, since nothing may change it.
func openers() map[string]opener {
	return map[string]opener{"cloudflare": openCloudflare, "hetzner": openHetzner, "rfc2136": openRFC2136, "route53": openRoute53}
}

// NewDNSProvider sets up a provider. It speaks to nobody yet; its errors name settings and never show their values.
func NewDNSProvider(kind string, settings map[string]string) (DNSProvider, error) {
	open := openers()[kind]
	required, optional, ok := tenant.DNSSettings(kind)
	if !ok || open == nil {
		return nil, fmt.Errorf("DNS provider %q is none of %s", kind, strings.Join(tenant.DNSKinds(), ", "))
	}
	var faults []error
	for _, name := range required {
		if settings[name] == "" {
			faults = append(faults, fmt.Errorf("DNS provider %q needs %q", kind, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			all := strings.Join(slices.Concat(required, optional), ", ")
			faults = append(faults, fmt.Errorf("DNS provider %q has no setting %q; it has %s", kind, name, all))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return open(settings)
}

func openCloudflare(s map[string]string) (DNSProvider, error) {
	return &cloudflare.Provider{APIToken: s["api_token"], ZoneToken: s["zone_token"], HTTPClient: &http.Client{Timeout: 30 * time.Second}}, nil
}

func openHetzner(s map[string]string) (DNSProvider, error) {
	return hetzner.New(s["api_token"]), nil
}

// openRFC2136 is for dynamic updates signed with TSIG (RFC 8945).
func openRFC2136(s map[string]string) (DNSProvider, error) {
	algorithm := strings.TrimSuffix(strings.ToLower(s["key_alg"]), ".")
	algorithms := []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}
	switch {
	case algorithm == "":
		algorithm = "hmac-sha256"
	case !slices.Contains(algorithms, algorithm):
		return nil, fmt.Errorf("DNS provider \"rfc2136\": key_alg is none of %s", strings.Join(algorithms, ", "))
	}
	if raw, err := base64.StdEncoding.DecodeString(s["key"]); err != nil || len(raw) == 0 {
		return nil, errors.New("DNS provider \"rfc2136\": key is not base64; take it from the secret of the server's key")
	}
	server := s["server"]
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	return &rfc2136.Provider{Server: server, KeyName: s["key_name"], KeyAlg: algorithm, Key: s["key"]}, nil
}

// openRoute53 has the AWS library read its own files and variables first: the provider would end the process over one that is damaged.
// Without keys those of the machine are used.
func openRoute53(s map[string]string) (DNSProvider, error) {
	if (s["access_key_id"] == "") != (s["secret_access_key"] == "") {
		return nil, errors.New("DNS provider \"route53\" needs access_key_id and secret_access_key together, or neither of them")
	}
	region := s["region"]
	if region == "" {
		region = "us-east-1" // Route 53 is one for the world; requests are signed for a region all the same
	}
	if _, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(region)); err != nil {
		return nil, fmt.Errorf("DNS provider \"route53\": the AWS configuration of this machine cannot be read: %s", clip(err.Error(), maxDetail))
	}
	return perCall(func() DNSProvider {
		return &route53.Provider{
			Region:          region,
			AccessKeyId:     s["access_key_id"],
			SecretAccessKey: s["secret_access_key"],
			SessionToken:    s["session_token"],
			HostedZoneID:    s["hosted_zone_id"],
		}
	}), nil
}

// perCall makes a provider for each call: route53's sets itself up at its first, without a lock.
type perCall func() DNSProvider

// AppendRecords implements DNSProvider.
func (open perCall) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return open().AppendRecords(ctx, zone, records)
}

// DeleteRecords implements DNSProvider.
func (open perCall) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return open().DeleteRecords(ctx, zone, records)
}

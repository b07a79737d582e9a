package tenant

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// The functions of this file each read one value about certificates. Their errors continue a sentence that begins with the key.

var keyKinds = []string{"p256", "p384", "rsa2048", "rsa4096"}

// storageKeyLen is the size of a storage key in bytes.
const storageKeyLen = 32

// checkStorageKey refuses what is not a key. It quotes nothing.
func checkStorageKey(text string) error {
	if key, err := hex.DecodeString(text); err == nil && len(key) == storageKeyLen {
		return nil
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(strings.TrimRight(text, "=")); err == nil && len(key) == storageKeyLen {
			return nil
		}
	}
	return fmt.Errorf("is not %d bytes as base64 or hexadecimal digits: make one with openssl rand -base64 %d", storageKeyLen, storageKeyLen)
}

// parseHMACKey returns the key of an external account binding without padding, as RFC 8555 §7.3.4 has it. It quotes nothing.
func parseHMACKey(text string) (string, error) {
	text = strings.TrimRight(text, "=")
	if key, err := base64.RawURLEncoding.DecodeString(text); err != nil || len(key) == 0 {
		return "", errors.New("is not base64url (letters, digits, \"-\" and \"_\"): copy it as the authority shows it")
	}
	return text, nil
}

func checkEmail(text string) error {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		return fmt.Errorf("%q is not an e-mail address: write it like \"admin@example.com\"", clip(text))
	}
	return nil
}

var profileName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func checkProfile(text string) error {
	if !profileName.MatchString(text) {
		return fmt.Errorf("%q is not the name of an ACME profile: write 1 to 64 of a-z, 0-9 and \"-\", like \"shortlived\"", clip(text))
	}
	return nil
}

// parseServer reads the address of a DNS server and gives it port 53 where it has none.
func parseServer(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), "53"
	}
	if _, err := netip.ParseAddr(host); (err != nil && !isHostName(strings.ToLower(host))) || !validPort([]byte(port)) {
		return "", fmt.Errorf("%q is not the address of a DNS server: write it like \"9.9.9.9\" or \"ns1.example.com:53\"", clip(text))
	}
	return net.JoinHostPort(host, port), nil
}

func parsePublicAddress(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%q is not an address: write it like \"198.51.100.4\" or \"2001:db8::4\"", clip(text))
	}
	return addr.Unmap(), nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.Atoi(text)
	if err != nil || !validPort([]byte(text)) {
		return 0, fmt.Errorf("%q is not a port: write a number from 1 to 65535", clip(text))
	}
	return port, nil
}

// maxRootsSize bounds a file of trusted certificates; that of a whole system is a quarter of it.
const maxRootsSize = 1 << 20

// checkRoots refuses what read gives for a file in which there is no certificate to trust.
func checkRoots(path string, read func(path string, limit int64) ([]byte, error)) error {
	data, err := read(path, maxRootsSize)
	switch {
	case errors.Is(err, errTooLarge):
		return fmt.Errorf("%q is larger than 1 MiB: name a file that holds the authority's root alone", clip(path))
	case err != nil:
		return fmt.Errorf("%q %w", clip(path), err)
	case !x509.NewCertPool().AppendCertsFromPEM(data):
		return fmt.Errorf("%q holds no certificate: name a PEM file with the root that the authority's HTTPS is signed by", clip(path))
	}
	return nil
}

// isFileOrFolder says what is wrong with a path that must lead to one of them.
func isFileOrFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%q %w", clip(path), readError(err))
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%q is neither a file nor a folder: name a PEM file, or a folder of them", clip(path))
	}
	return nil
}

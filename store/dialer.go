package store

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/ocsp"
)

// keepAlive is how often a silent connection is probed; it is the driver's own figure.
const keepAlive = 5 * time.Minute

// dialer connects to servers, does TLS where the URI asks for it, and guards what comes. The driver would do TLS as well; but what lies between
// its TLS and its reading can only be guarded where TLS is ours.
type dialer struct {
	net         net.Dialer
	tls         *tls.Config // nil: none
	revocation  *ocsp.VerifyOptions
	compressors bool
	unzstd      *zstd.Decoder // nil where zstd is not among them
}

// setDialer makes opts, to which the URI has been applied, connect by a dialer.
func setDialer(opts *options.ClientOptions) error {
	d := &dialer{net: net.Dialer{KeepAlive: keepAlive}, tls: opts.TLSConfig, compressors: len(opts.Compressors) > 0}
	unchecked := opts.DisableCertificateRevocationCheck != nil && *opts.DisableCertificateRevocationCheck
	if d.tls != nil && !d.tls.InsecureSkipVerify && !unchecked {
		d.revocation = &ocsp.VerifyOptions{
			Cache:                   ocsp.NewCache(),
			DisableEndpointChecking: opts.DisableOCSPEndpointCheck != nil && *opts.DisableOCSPEndpointCheck,
			HTTPClient:              opts.HTTPClient,
		}
	}
	if slices.Contains(opts.Compressors, "zstd") {
		var err error
		if d.unzstd, err = newUnzstd(); err != nil {
			return err
		}
	}
	opts.TLSConfig = nil
	opts.SetDialer(d)
	return nil
}

// DialContext implements options.ContextDialer.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		if conn, err = d.secure(ctx, conn, address); err != nil {
			return nil, err
		}
	}
	return &guarded{Conn: conn, compressed: d.compressors, unzstd: d.unzstd}, nil
}

// secure does the TLS handshake, and closes conn where it fails.
func (d *dialer) secure(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	config := d.tls.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	if err == nil && d.revocation != nil {
		err = ocsp.Verify(ctx, secured.ConnectionState(), d.revocation)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

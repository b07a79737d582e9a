package gateway

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	specs "github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
	"golang.org/x/net/http2"

	"metahub/tenant"
)

// standardFails are the cases in which net/http's server does not do what h2spec asks for: it takes frames of a megabyte, and no setting
// twice; and what it lets through, the bridge answers with 400, not with an error of the stream.
var standardFails = []string{"http2/4.2/3", "http2/6.5.3/1", "http2/8.1.2.2/1", "http2/8.1.2.2/2"}

// cases are those of h2spec, and of since.
const cases = 150

// TestH2Spec runs every case of h2spec, those that are strict too, against a whole gateway.
func TestH2Spec(t *testing.T) {
	overHTTP2(t, func(t *testing.T) {
		w := start(t, nil)
		site := *tenants()[0]
		site.Domains, site.Limits.Body = []string{"localhost"}, 1<<20 // h2spec looks its host up
		w.registry.Publish(tenant.NewDirectory(*w.registry.Current().Gateway(), []*tenant.Tenant{&site}))
		client := &config.Config{
			Host: "localhost", Port: w.https.(*net.TCPAddr).Port, Path: "/", TLS: true, Insecure: true, Strict: true,
			Timeout: 5 * time.Second, MaxHeaderLen: 4000,
		}
		total := 0
		for _, group := range []*spec.TestGroup{generic.Spec(), specs.Spec(), hpack.Spec(), since()} {
			total += runSpec(t, group, client)
		}
		if total != cases {
			t.Errorf("%d cases ran, want %d", total, cases)
		}
	})
}

// runSpec runs the cases of a group, and returns how many there are.
func runSpec(t *testing.T, group *spec.TestGroup, client *config.Config) (total int) {
	for i, c := range slices.Concat(group.Tests, group.StrictTests) {
		total++
		name := fmt.Sprintf("%s/%d", group.ID(), i+1)
		if !isEngine(t) && slices.Contains(standardFails, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := spec.Dial(client)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := c.Run(client, conn); err != nil { // also if a case does not apply
				t.Errorf("%s\n%s\nIt wants and gets:\n%v", c.Desc, c.Requirement, err)
			}
		})
	}
	for _, g := range group.Groups {
		total += runSpec(t, g, client)
	}
	return total
}

// since is what h2spec has added and mended since the last version of it that Go modules can name.
func since() *spec.TestGroup {
	group := &spec.TestGroup{Key: "since", Name: "Cases of later versions"}
	add := func(desc, requirement string, code http2.ErrCode, send func(*config.Config, *spec.Conn) error) {
		group.AddTestCase(&spec.TestCase{Desc: desc, Requirement: requirement, Run: func(c *config.Config, conn *spec.Conn) error {
			if err := send(c, conn); err != nil {
				return err
			}
			return spec.VerifyConnectionError(conn, code)
		}})
	}
	block := func(more string) func(c *config.Config, conn *spec.Conn) error {
		return func(c *config.Config, conn *spec.Conn) error {
			if err := conn.Handshake(); err != nil {
				return err
			}
			fields := append(conn.EncodeHeaders(spec.CommonHeaders(c)), more...)
			return conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: fields})
		}
	}
	const decoding = "The endpoint MUST treat this as a decoding error."
	add("Sends a literal field with the index of no name", decoding, http2.ErrCodeCompression, block("\x7f\x07\x00"))
	add("Sends the EOS symbol inside a Huffman string", decoding, http2.ErrCodeCompression,
		block("\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"))
	add("Sends a PING frame of six bytes", "The endpoint MUST respond with a connection error of type FRAME_SIZE_ERROR.",
		http2.ErrCodeFrameSize, func(c *config.Config, conn *spec.Conn) error {
			if err := conn.Handshake(); err != nil {
				return err
			}
			return conn.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 6))
		})
	add("Sends an invalid connection preface", "The endpoint MUST treat this as a connection error of type PROTOCOL_ERROR.",
		http2.ErrCodeProtocol, func(c *config.Config, conn *spec.Conn) error {
			return conn.Send([]byte("INVALID CONNECTION PREFACE\r\n\r\n"))
		})
	return group
}

package store

import (
	"context"
	"encoding/binary"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/description"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/mnet"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/xoptions"
)

// On a deployment that tenants share, db.currentOp(), the profiler and the slow query log show one user and one application. So each
// command says in its comment for which tenant it runs. The driver has an option for that with some operations and none with others, and an
// operation that forgets it would be nobody's; therefore it is added where all commands pass, as they are about to be sent.

// commentWireVersion is MongoDB 4.4, the first that takes a comment with every command.
const commentWireVersion = 9

type tenantKey struct{}

// withTenant makes commands under ctx say that they are of the tenant with slug.
func withTenant(ctx context.Context, slug string) context.Context {
	return context.WithValue(ctx, tenantKey{}, slug)
}

// commented is a deployment whose commands have the comment.
type commented struct{ *topology.Topology }

// setCommented makes a client with opts, which are complete, a commented one.
func setCommented(opts *options.ClientOptions) error {
	config, err := topology.NewConfig(opts, nil) // without a clock greetings do not tell the cluster's time; commands do
	if err != nil {
		return err
	}
	plain, err := topology.New(config)
	if err != nil {
		return err
	}
	return xoptions.SetInternalClientOptions(opts, "deployment", commented{plain})
}

// SelectServer implements driver.Deployment.
func (c commented) SelectServer(ctx context.Context, selector description.ServerSelector) (driver.Server, error) {
	server, err := c.Topology.SelectServer(ctx, selector)
	if selected, ok := server.(*topology.SelectedServer); ok && err == nil {
		return commentedServer{selected}, nil
	}
	return server, err
}

type commentedServer struct{ *topology.SelectedServer }

// Connection implements driver.Server. Every command goes through its connection's compressor, also where none has been agreed on.
func (s commentedServer) Connection(ctx context.Context) (*mnet.Connection, error) {
	conn, err := s.SelectedServer.Connection(ctx)
	if err != nil {
		return nil, err
	}
	slug, ok := ctx.Value(tenantKey{}).(string)
	if version := conn.Description().WireVersion; ok && version != nil && version.Max >= commentWireVersion {
		conn.Compressor = commenter{conn.Compressor, slug}
	}
	return conn, nil
}

type commenter struct {
	mnet.Compressor
	slug string
}

// CompressWireMessage implements mnet.Compressor.
func (c commenter) CompressWireMessage(message, compressed []byte) ([]byte, error) {
	return c.Compressor.CompressWireMessage(addComment(message, c.slug), compressed)
}

// addComment returns an OP_MSG whose command has a comment. The command is its first section: what follows are documents of an insert or the
// like (https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md). The message may be changed.
func addComment(message []byte, comment string) []byte {
	const start = 16 + 4 + 1 // header, flags, kind of section
	_, _, _, code, _, ok := wiremessage.ReadHeader(message)
	if !ok || code != wiremessage.OpMsg || len(message) < start {
		return message
	}
	command, _, ok := bsoncore.ReadDocument(message[start:])
	if !ok {
		return message
	}
	if _, err := command.LookupErr("comment"); err == nil {
		return message
	}
	var room [128]byte
	element := bsoncore.AppendStringElement(room[:0], "comment", comment)
	size := len(command)
	message = slices.Insert(message, start+size-1, element...)
	binary.LittleEndian.PutUint32(message[start:], uint32(size+len(element)))
	binary.LittleEndian.PutUint32(message, uint32(len(message)))
	return message
}

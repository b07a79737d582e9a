package store

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

const (
	maxPoolSize            = 64 // per server, for operations and pings
	serverSelectionTimeout = 2 * time.Second
)

// newClient makes a client for a deployment. It starts monitors and opens no connection for operations yet; with mongodb+srv it asks DNS.
//
// All clients have the same settings. Whether one is shared may change with every reload, and the gates bound what a single tenant uses
// of its pool, so settings for few tenants would gain nothing: connections are made as needed and idle ones closed. Servers are polled
// instead of streamed from, which saves a socket and three goroutines for each; the price is that a failover without traffic is
// noticed up to 10 s later. All read from the primary, or a read before a write might not see the write before; Query and Ask know of exceptions.
func newClient(uri string, dialer options.ContextDialer) (*mongo.Client, error) {
	opts := options.Client().ApplyURI(uri).
		SetAppName("metahub").
		SetMaxPoolSize(maxPoolSize + maxWatches).
		SetMinPoolSize(0).
		SetMaxConnecting(2). // each is a goroutine that waits, for every server
		SetMaxConnIdleTime(time.Minute).
		SetServerMonitoringMode("poll").
		SetHeartbeatInterval(10 * time.Second).
		SetConnectTimeout(3 * time.Second).
		SetServerSelectionTimeout(serverSelectionTimeout).
		SetTimeout(10 * time.Second).
		SetReadPreference(readpref.Primary())
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if dialer != nil {
		opts.SetDialer(dialer)
	} else if err := setDialer(opts); err != nil {
		return nil, err
	}
	if err := setCommented(opts); err != nil {
		return nil, err
	}
	return mongo.Connect(opts)
}

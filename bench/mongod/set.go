package mongod

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// SetName is the name of a replica set that StartSet starts.
const SetName = "canned"

// member is a server's place in a replica set.
type member struct {
	primary string
	hosts   bsoncore.Array
}

// StartSet starts the servers of a replica set, one for each handler. The first is the primary, and stays it whatever becomes of it. What one
// server takes the others do not hear of. The set's URI is that of any of them with "replicaSet=" and SetName among its options.
func StartSet(handlers ...Handler) ([]*Server, error) {
	var servers []*Server
	var hosts []bsoncore.Value
	for _, handler := range handlers {
		s, err := Start(handler)
		if err != nil {
			for _, s := range servers {
				s.Close()
			}
			return nil, err
		}
		servers = append(servers, s)
		hosts = append(hosts, bsoncore.Value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, s.address)})
	}
	for _, s := range servers {
		s.member.Store(&member{primary: servers[0].address, hosts: bsoncore.BuildArray(nil, hosts...)})
	}
	return servers, nil
}

// describe adds to a greeting what the member with an address says of itself and its set. It has all that was ever written.
func (m *member) describe(greeting *bsoncore.DocumentBuilder, address string) {
	greeting.
		AppendString("setName", SetName).
		AppendInt32("setVersion", 1).
		AppendArray("hosts", m.hosts).
		AppendString("primary", m.primary).
		AppendString("me", address).
		AppendBoolean("secondary", address != m.primary).
		AppendDocument("lastWrite", bsoncore.NewDocumentBuilder().AppendDateTime("lastWriteDate", time.Now().UnixMilli()).Build())
}

package mongod

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Changes are what has changed in a server's databases, for those who watch them. Its zero value is ready, and its methods may be called
// at once.
type Changes struct {
	mu        sync.Mutex
	log       []change
	cursors   map[int64]*cursor
	opened    int // cursors, ever
	forgotten int // the changes before that cannot be gone on from
	refused   bool
	grown     chan struct{} // closed when there is something new for cursors that wait
}

type change struct {
	database string
	document bsoncore.Document
}

type cursor struct {
	database string
	next     int // in the log
}

// Add adds a change event of a database: its operationType, its collection, and the elements that it has besides _id and ns, such as
// {"documentKey": …, "fullDocument": …}. They are sent as they are: no stage of a pipeline is applied.
func (c *Changes) Add(database, collection, operation string, rest bson.D) {
	c.mu.Lock()
	defer c.mu.Unlock()
	event := bson.D{
		{Key: "_id", Value: bson.Raw(token(len(c.log) + 1))},
		{Key: "operationType", Value: operation},
		{Key: "ns", Value: bson.D{{Key: "db", Value: database}, {Key: "coll", Value: collection}}},
	}
	raw, err := bson.Marshal(append(event, rest...))
	if err != nil {
		panic(err) // of a test's own values
	}
	c.log = append(c.log, change{database, raw})
	c.wake()
}

// Open returns how many change streams are open, and Opened how many ever were.
func (c *Changes) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cursors)
}

// Opened returns how many change streams have been opened.
func (c *Changes) Opened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// Forget makes it impossible to go on from where anybody is: the changes so far have left the server's log.
func (c *Changes) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten = len(c.log) + 1
}

// Refuse makes the server one without change streams, or one that has them.
func (c *Changes) Refuse(refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = refused
}

// Drop forgets the open streams, as a server does that starts again.
func (c *Changes) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursors = nil
	c.wake()
}

// Answer answers the commands of change streams, and nil to all others.
func (c *Changes) Answer(ctx context.Context, command bsoncore.Document) bsoncore.Document {
	switch Name(command) {
	case "aggregate":
		if stage, err := command.LookupErr("pipeline", "0", "$changeStream"); err == nil {
			return c.open(command, stage.Document())
		}
	case "getMore":
		if id, ok := command.Lookup("getMore").AsInt64OK(); ok && id <= changeCursors {
			return c.more(ctx, id, command)
		}
	case "killCursors":
		c.kill(command)
	}
	return nil
}

// changeCursors is the first id of a change stream's cursor, which count down from there.
const changeCursors = -1000

func (c *Changes) open(command, stage bsoncore.Document) bsoncore.Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused {
		return Failure(40573, "The $changeStream stage is only supported on replica sets")
	}
	from := len(c.log)
	for _, key := range []string{"startAfter", "resumeAfter"} {
		if after, err := stage.LookupErr(key, "_data"); err == nil {
			var err error
			if from, err = strconv.Atoi(after.StringValue()); err != nil {
				return Failure(260, "the resume token is not valid")
			}
			if from < c.forgotten {
				return Failure(286, "the resume point may no longer be in the oplog")
			}
		}
	}
	if c.cursors == nil {
		c.cursors = map[int64]*cursor{}
	}
	id := changeCursors - int64(c.opened)
	c.opened++
	database := command.Lookup("$db").StringValue()
	c.cursors[id] = &cursor{database, from}
	return withToken(FirstBatch(database+".$cmd.aggregate", id), from)
}

// more waits for changes for as long as the command says.
func (c *Changes) more(ctx context.Context, id int64, command bsoncore.Document) bsoncore.Document {
	wait := time.Second
	if ms, ok := command.Lookup("maxTimeMS").AsInt64OK(); ok {
		wait = time.Duration(ms) * time.Millisecond
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	for over := false; ; {
		batch, grown := c.batch(id)
		if batch != nil && (over || grown == nil) {
			return batch
		}
		select {
		case <-grown:
		case <-patience.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
}

// batch is the answer of a cursor, and where that has no document, what to wait on for more.
func (c *Changes) batch(id int64) (answer bsoncore.Document, grown <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.cursors[id]
	if at == nil {
		return Failure(43, fmt.Sprintf("cursor id %d not found", id)), nil
	}
	var documents []bsoncore.Document
	for ; at.next < len(c.log); at.next++ {
		if one := c.log[at.next]; one.database == at.database {
			documents = append(documents, one.document)
		}
	}
	answer = withToken(NextBatch(at.database+".$cmd.aggregate", id, documents...), at.next)
	if len(documents) > 0 {
		return answer, nil
	}
	if c.grown == nil {
		c.grown = make(chan struct{})
	}
	return answer, c.grown
}

func (c *Changes) kill(command bsoncore.Document) {
	ids, err := command.Lookup("cursors").Array().Values()
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.cursors, id.Int64())
	}
}

// wake lets waiting cursors look again; c.mu is held.
func (c *Changes) wake() {
	if c.grown != nil {
		close(c.grown)
		c.grown = nil
	}
}

// token is the resume token behind so many changes.
func token(n int) bsoncore.Document {
	return bsoncore.NewDocumentBuilder().AppendString("_data", fmt.Sprintf("%06d", n)).Build()
}

// withToken puts a token into the answer's cursor.
func withToken(answer bsoncore.Document, n int) bsoncore.Document {
	batch, err := answer.Lookup("cursor").Document().Elements()
	if err != nil {
		return answer
	}
	cursor := bsoncore.NewDocumentBuilder()
	for _, e := range batch {
		cursor.AppendValue(e.Key(), e.Value())
	}
	cursor.AppendDocument("postBatchResumeToken", token(n))
	return bsoncore.NewDocumentBuilder().AppendDocument("cursor", cursor.Build()).AppendDouble("ok", 1).Build()
}

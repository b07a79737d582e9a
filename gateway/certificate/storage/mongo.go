package storage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.uber.org/zap"
)

// Names of the collections.
const (
	filesCollection   = "certificates_files"
	deletedCollection = "certificates_deleted"
	locksCollection   = "certificates_locks"
)

// mongoStorage is a Storage in MongoDB, or in FerretDB, which changes a document by reading it and writing it back: of two changes at once
// one would be lost, and a condition may hold for both. So what must be decided between processes is decided by the unique _id of an
// insert, and a document that is changed more than once has one writer, or is replaced whole.
type mongoStorage struct {
	target  mongoURI
	client  *mongo.Client
	files   *mongo.Collection
	deleted *mongo.Collection
	locks   *mongoLocks
	leases  *leases
	sweeps  sweeps
	ready   atomic.Bool // prepare has been done
}

// OpenMongo uses the database that the URI's path names, or "metahub". It fails when the deployment cannot be reached within five seconds,
// unless it mayBeDown, as for one who has a copy to go on with. Writes are acknowledged by a majority and reads go to the primary, whatever
// the URI says. logger may be nil. Errors show no credentials.
func OpenMongo(ctx context.Context, uri string, mayBeDown bool, logger *zap.Logger) (Storage, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	target, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	client, err := connect(target.uri)
	if err != nil {
		return nil, fmt.Errorf("the certificate storage %s cannot be used: %s", target.name, target.redact.Replace(err.Error()))
	}
	database := client.Database(target.database)
	m := &mongoStorage{target: target, client: client, files: database.Collection(filesCollection), deleted: database.Collection(deletedCollection)}
	m.locks = &mongoLocks{claims: database.Collection(locksCollection), fault: m.fault}
	if err := m.prepare(ctx); err != nil && !mayBeDown {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
		defer cancel()
		client.Disconnect(closing)
		return nil, err
	}
	m.leases = newLeases(m.locks, logger)
	return m, nil
}

func connect(uri string) (*mongo.Client, error) {
	opts := options.Client().ApplyURI(uri).
		SetAppName("metahub-certificates").
		SetMaxPoolSize(32).
		SetMaxConnIdleTime(time.Minute).
		SetServerMonitoringMode("poll").
		SetConnectTimeout(callTimeout).
		SetServerSelectionTimeout(callTimeout).
		SetTimeout(callTimeout).
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(writeconcern.Majority())
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	return mongo.Connect(opts)
}

// prepare makes the indexes by which Changes finds what is new, once.
func (m *mongoStorage) prepare(ctx context.Context) error {
	if m.ready.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, collection := range []*mongo.Collection{m.files, m.deleted} {
		if _, err := collection.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "modified", Value: 1}}}); err != nil {
			return m.fault("cannot be prepared", err)
		}
	}
	m.ready.Store(true)
	return nil
}

// String implements Storage.
func (m *mongoStorage) String() string { return m.target.name }

// Close implements Storage.
func (m *mongoStorage) Close(ctx context.Context) error {
	err := m.leases.close(ctx)
	if closing := m.client.Disconnect(ctx); closing != nil && !errors.Is(closing, mongo.ErrClientDisconnected) {
		err = errors.Join(err, m.fault("cannot be closed", closing))
	}
	return err
}

// Lock implements certmagic.Locker.
func (m *mongoStorage) Lock(ctx context.Context, name string) error { return m.leases.lock(ctx, name) }

// TryLock implements Storage.
func (m *mongoStorage) TryLock(ctx context.Context, name string) (bool, error) {
	return m.leases.tryLock(ctx, name)
}

// Unlock implements certmagic.Locker.
func (m *mongoStorage) Unlock(ctx context.Context, name string) error {
	return m.leases.unlock(ctx, name)
}

// mongoFault is an error of the driver whose text is safe to print.
type mongoFault struct {
	text  string
	cause error
}

// Error implements error.
func (f *mongoFault) Error() string { return f.text }

// Unwrap is for errors.Is and errors.As.
func (f *mongoFault) Unwrap() error { return f.cause }

func (m *mongoStorage) fault(what string, err error) error {
	return &mongoFault{text: fmt.Sprintf("the certificate storage %s %s: %s", m.target.name, what, m.target.redact.Replace(err.Error())), cause: err}
}

package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

func openStore(t *testing.T, config store.Config) *store.Store {
	t.Helper()
	databases := store.New(config)
	t.Cleanup(func() {
		if err := databases.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return databases
}

// What another gateway, or another program, writes between our reading and our writing is not written over.
func TestChangeThatIsOvertaken(t *testing.T) {
	databases := openStore(t, store.Config{Data: t.TempDir(), Patience: time.Minute})
	models, err := LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := models.Named("about")
	anna := &tenant.Tenant{Slug: "anna", Database: tenant.Database{Name: "anna"}}
	w := model.Writer{Audience: model.Admin, Scope: model.Scope{Tenant: "anna"}, Now: time.Now()}
	f := func(name string, between bson.D, want error) {
		t.Helper()
		err := databases.Do(t.Context(), anna, func(ctx context.Context, db *mongo.Database) error {
			id := bson.NewObjectID()
			abouts := db.Collection(m.Collection)
			if _, err := abouts.InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "tenant", Value: "anna"}, {Key: "updatedAt", Value: bson.DateTime(1)}}); err != nil {
				return err
			}
			_, err := changeOnce(ctx, db, m, w.Scope, m.Item(w.Scope, m.Admin, id), func(bson.Raw) (model.Change, error) {
				if between != nil {
					if _, err := abouts.UpdateByID(ctx, id, between); err != nil {
						return model.Change{}, err
					}
				}
				change, issues := m.Change(bson.D{{Key: "author", Value: "ours"}}, w)
				if len(issues) > 0 {
					return change, invalid(issues)
				}
				return change, nil
			})
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	f("nobody", nil, nil)
	f("another gateway", bson.D{{Key: "$inc", Value: bson.D{{Key: model.Revision, Value: 1}}}}, errOvertaken)
	f("another program", bson.D{{Key: "$set", Value: bson.D{{Key: "updatedAt", Value: bson.DateTime(2)}}}}, errOvertaken)
	f("another tenant takes it", bson.D{{Key: "$set", Value: bson.D{{Key: "tenant", Value: "ben"}}}}, errOvertaken)
}

// What has changed since the precondition was looked at is not deleted.
func TestRemovalThatIsOvertaken(t *testing.T) {
	databases := openStore(t, store.Config{Data: t.TempDir()})
	models, err := LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := models.Named("about")
	anna := &tenant.Tenant{Slug: "anna", Database: tenant.Database{Name: "anna"}}
	f := func(name string, between bson.D, want error, left int64) {
		t.Helper()
		err := databases.Do(t.Context(), anna, func(ctx context.Context, db *mongo.Database) error {
			id := bson.NewObjectID()
			abouts := db.Collection(m.Collection)
			if _, err := abouts.InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "tenant", Value: "anna"}, {Key: "updatedAt", Value: bson.DateTime(1)}}); err != nil {
				return err
			}
			_, err := removeOne(ctx, abouts, m, m.Item(model.Scope{Tenant: "anna"}, m.Admin, id), func(bson.Raw) bool {
				if between != nil {
					if _, err := abouts.UpdateByID(ctx, id, between); err != nil {
						t.Error(err)
					}
				}
				return true
			})
			if n, counted := abouts.CountDocuments(ctx, bson.D{{Key: "_id", Value: id}}); counted != nil || n != left {
				t.Errorf("%s: %d are left, %v", name, n, counted)
			}
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	f("nobody", nil, nil, 0)
	f("another gateway", bson.D{{Key: "$inc", Value: bson.D{{Key: model.Revision, Value: 1}}}}, errPrecondition, 1)
	f("another program", bson.D{{Key: "$set", Value: bson.D{{Key: "updatedAt", Value: bson.DateTime(2)}}}}, errPrecondition, 1)
}

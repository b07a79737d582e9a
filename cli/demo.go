package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"metahub/api"
	"metahub/store"
	"metahub/tenant"
)

const (
	// demoFile holds the passwords of the demo's administrators, in the data folder.
	demoFile = "demo-admin.txt"
	// demoTimeout bounds the seeding of one tenant.
	demoTimeout = 30 * time.Second
)

// demo fills the embedded databases of the sample tenants, so that a first start has something to show.
type demo struct {
	databases *store.Store
	resources *api.API
	log       *zap.Logger
	file      string
}

// seed gives sample documents and an administrator to each tenant that has samples and an empty embedded database. One that cannot be
// seeded is logged, and served without.
func (d demo) seed(tenants []*tenant.Tenant) {
	for _, t := range tenants {
		if !t.Database.Embedded() {
			continue
		}
		if err := d.seedTenant(t); err != nil {
			d.log.Error("a tenant is served without demo data", zap.String("tenant", t.Slug), zap.Error(err))
		}
	}
}

func (d demo) seedTenant(t *tenant.Tenant) error {
	documents, err := d.resources.DemoDocuments(t.Slug)
	if err != nil || len(documents) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	fresh, err := d.databases.SeedOnce(ctx, t, documents)
	if err != nil || !fresh {
		return err
	}
	email, password := "admin@"+strings.TrimPrefix(t.Domains[0], "*."), rand.Text()
	if err := d.note(fmt.Sprintf("%s  %s  %s\n", t.Slug, email, password)); err != nil {
		return err
	}
	return d.resources.CreateUser(ctx, t, "Demo Admin", email, password, "admin")
}

// note adds a line to the file of passwords, which only this user may read.
func (d demo) note(line string) error {
	if err := os.MkdirAll(filepath.Dir(d.file), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(d.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line)
	return errors.Join(err, file.Close())
}

// noted reports whether there is a file of passwords, of this start or an earlier one.
func (d demo) noted() bool {
	_, err := os.Stat(d.file)
	return !errors.Is(err, fs.ErrNotExist)
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"metahub/admin"
	"metahub/api"
	"metahub/api/upload"
	"metahub/gateway"
	"metahub/gateway/cache"
	"metahub/gateway/certificate"
	"metahub/gateway/frontend"
	"metahub/store"
	"metahub/tenant"
)

// tenantLabels is how many tenants /metrics tells apart.
const tenantLabels = 50

// partTimeout is how long a part may take to stop once no request is in flight any more.
const partTimeout = 5 * time.Second

// server is a running MetaHub.
type server struct {
	log       *zap.Logger
	source    tenant.Source
	reloads   *tenant.Reloader
	databases *store.Store
	resources *api.API
	keeper    *certificate.Keeper
	frontends *frontend.Server
	cache     *cache.Cache
	metrics   *admin.Metrics
	admin     *admin.Server
	gateway   *gateway.Gateway
	demo      string // the file with the demo's passwords, where there is one
	parts     []part // what runs, in the order in which it was started
	ballast   []byte // see newBallast
}

// part is something that runs until it is stopped.
type part struct {
	name   string
	drains bool // requests are in flight in it
	stop   func(context.Context) error
}

// start builds all parts and starts them, each on those before it: nothing listens for clients until everything behind it works. When
// one fails those before it are stopped again.
func start(source tenant.Source, log *zap.Logger) (_ *server, err error) {
	s := &server{log: log, source: source, ballast: newBallast()}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
			defer cancel()
			err = errors.Join(err, s.stop(ctx))
		}
	}()
	if s.reloads, err = tenant.Open(source, log); err != nil {
		return nil, err
	}
	registry := s.reloads.Registry()
	settings := registry.Current().Gateway()
	if err := s.startAnswering(registry, settings); err != nil {
		return nil, err
	}
	if err := s.startAdmin(registry); err != nil {
		return nil, err
	}
	if settings.Demo {
		s.seedDemo(registry, settings)
	}
	if err := s.startGateway(registry); err != nil {
		return nil, err
	}
	s.started("reload", s.watch())
	s.started("models", s.watchModels())
	return s, nil
}

// startAnswering starts what requests are answered from.
func (s *server) startAnswering(registry *tenant.Registry, settings *tenant.Gateway) (err error) {
	s.databases = store.New(store.Config{Data: settings.Data, Logger: s.log.Named("store")})
	s.started("store", s.databases.Close)

	files, err := upload.Open(filepath.Join(settings.Data, "uploads"))
	if err != nil {
		return fmt.Errorf("the folder of uploaded files: %w", err)
	}
	s.started("uploads", func(context.Context) error { return files.Close() })
	s.frontends = frontend.New(frontend.Config{Logger: s.log, Registry: registry})
	s.started("frontends", func(context.Context) error { s.frontends.Close(); return nil })
	s.resources, err = api.New(api.Config{
		Uploads: files, Store: s.databases, Registry: registry, Models: models(settings), OnLeave: s.frontends.OnLeave, Logger: s.log.Named("api"),
	})
	if err != nil {
		return err
	}
	s.started("api", func(context.Context) error { s.resources.Close(); return nil })
	s.keeper, err = certificate.New(certificate.Config{
		Registry: registry, Settings: settings.Certificates, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.keeper.Start()
	s.started("certificates", func(context.Context) error { s.keeper.Stop(); return nil })

	s.cache = cache.New(cache.Config{Registry: registry, Logger: s.log.Named("cache")})
	s.started("cache", func(context.Context) error { s.cache.Close(); return nil })
	return nil
}

// startAdmin goes before the gateway, so that /readyz tells of a start and, since parts stop in reverse, of draining.
func (s *server) startAdmin(registry *tenant.Registry) error {
	s.metrics = admin.NewMetrics(version(), registry, tenantLabels)
	s.admin = admin.New(admin.Config{
		Registry:     registry,
		Reloads:      s.reloads,
		Metrics:      s.metrics,
		Databases:    func() []admin.Database { return databasesOf(s.databases) },
		Certificates: certificates{s.keeper},
		Upstreams:    func() []admin.Upstream { return upstreamsOf(s.frontends) },
		Cache:        answers{s.cache},
		Version:      version(),
		Logger:       s.log.Named("admin"),
	})
	if err := s.admin.Start(); err != nil {
		return err
	}
	s.started("admin", s.admin.Shutdown)
	return nil
}

func (s *server) seedDemo(registry *tenant.Registry, settings *tenant.Gateway) {
	demo := demo{s.databases, s.resources, s.log.Named("demo"), filepath.Join(settings.Data, demoFile)}
	demo.seed(registry.Current().Tenants())
	if demo.noted() {
		s.demo = demo.file
	}
}

func (s *server) startGateway(registry *tenant.Registry) error {
	s.gateway = gateway.New(gateway.Config{
		Registry:     registry,
		API:          s.resources.Handle,
		Certificates: s.keeper,
		Frontends:    s.frontends,
		Cache:        s.cache,
		Observer:     observer{s.metrics},
		Logger:       s.log.Named("gateway"),
	})
	if err := s.gateway.Start(); err != nil {
		return err
	}
	s.parts = append(s.parts, part{name: "gateway", drains: true, stop: s.gateway.Shutdown})
	s.keeper.StartOrders() // a CA that looks finds the ports answered
	s.started("orders", func(context.Context) error { s.keeper.StopOrders(); return nil })
	return nil
}

func (s *server) started(name string, stop func(context.Context) error) {
	s.parts = append(s.parts, part{name: name, stop: stop})
}

// watch reads tenants.yaml again whenever it is saved, until the returned function ends that.
func (s *server) watch() (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.reloads.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("a saved tenants.yaml is not noticed any more; send SIGHUP, or restart", zap.Error(err))
		}
	}()
	return func(context.Context) error {
		cancel()
		<-done
		return nil
	}
}

// watchModels reads the models again whenever their files change, until the returned function ends that.
func (s *server) watchModels() (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.resources.WatchModels(ctx)
	}()
	return func(context.Context) error {
		cancel()
		<-done
		return nil
	}
}

// ready says that all parts run.
func (s *server) ready() {
	s.admin.SetState(admin.Ready)
	https, _ := s.gateway.Addrs()
	s.log.Info("ready", zap.String("version", version()), zap.Int("tenants", len(s.reloads.Registry().Current().Tenants())),
		zap.Stringer("https", https), zap.Stringer("admin", s.admin.Addr()))
}

// stop stops the parts in the reverse order of their start. The gateway may take until ctx ends to finish what is in flight; the parts
// behind it have nothing left to do then.
func (s *server) stop(ctx context.Context) error {
	if s.admin != nil {
		s.admin.SetState(admin.Draining)
	}
	if s.resources != nil {
		s.resources.EndStreams() // or they would be in flight until the time is up
	}
	var faults error
	for _, p := range slices.Backward(s.parts) {
		if err := stopPart(ctx, p); err != nil {
			faults = errors.Join(faults, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return faults
}

func stopPart(ctx context.Context, p part) error {
	if p.drains {
		return p.stop(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), partTimeout)
	defer cancel()
	return p.stop(ctx)
}

// reloadModels reads the models now, also when nothing has changed on disk.
func (s *server) reloadModels() {
	if err := s.resources.ReloadModels(); err != nil {
		s.log.Error("models not loaded, the last good ones stay", zap.Error(err))
	}
}

// models returns the folder that replaces the built-in resources, or nil.
func models(settings *tenant.Gateway) fs.FS {
	if settings.Models == "" {
		return nil
	}
	return os.DirFS(settings.Models)
}

// httpsAddress is where a client on this machine reaches the gateway: an IP address, and the real port where tenants.yaml says 0.
func (s *server) httpsAddress() string {
	https, _ := s.gateway.Addrs()
	return clientAddress(s.reloads.Registry().Current().Gateway().HTTPS, https)
}

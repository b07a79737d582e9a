// Package api answers /api/…: the resources that model files declare, sign-in, and what a tenant may know about itself.
//
//	a, err := api.New(api.Config{Store: databases, Registry: registry, Logger: log})
//	server.Handler = a.Handle // behind the gateway, which has bound the tenant to the request
//
// A request goes one way: route, authorise, read, store, answer. Handlers return a reply or an error; one function writes every
// reply and one writes every error. The package opens no socket, trusts nothing that came from a client, and never learns a
// database's name from a request.
package api

import (
	"embed"
	"io/fs"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

//go:embed models/*.yaml
var builtin embed.FS

// Config is what an API needs. Store and Registry must be set.
type Config struct {
	Store    *store.Store
	Registry *tenant.Registry
	// Models holds *.yaml model files in place of the built-in ones; nil means the built-in ones.
	Models fs.FS
	// Logger may be nil.
	Logger *zap.Logger
}

// API serves the resources of every tenant. Its methods may be called at once from any number of goroutines.
type API struct {
	store     *store.Store
	registry  *tenant.Registry
	log       *zap.Logger
	models    *model.Set
	users     *model.Model
	routes    router
	passwords *hasher
	attempts  *attempts
	indexed   indexed
	maxPage   int
	now       func() time.Time
}

// New compiles the models. Its error is model.Faults where the model files are at fault, all faults at once.
func New(config Config) (*API, error) {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	models, err := loadModels(config.Models)
	if err != nil {
		return nil, err
	}
	users, err := accountModel(models)
	if err != nil {
		return nil, err
	}
	a := &API{
		store:     config.Store,
		registry:  config.Registry,
		log:       config.Logger,
		models:    models,
		users:     users,
		passwords: newHasher(),
		attempts:  newAttempts(),
		maxPage:   maxPage,
		now:       time.Now,
	}
	a.routes = a.newRouter()
	return a, nil
}

func loadModels(files fs.FS) (*model.Set, error) {
	if files != nil {
		return model.Load(files)
	}
	files, err := fs.Sub(builtin, "models")
	if err != nil {
		return nil, err
	}
	return model.Load(files)
}

// Handle answers one request, for the tenant that the gateway bound to it. It is a fasthttp.RequestHandler.
func (a *API) Handle(http *fasthttp.RequestCtx) {
	r := &request{http: http, tenant: tenant.FromContext(http)}
	r.startClock()
	defer func() { r.stopClock() }()
	reply, err := a.dispatch(r)
	if err == nil {
		err = r.answer(reply)
	}
	if err != nil {
		a.fail(r, err)
	}
}

func (a *API) dispatch(r *request) (reply, error) {
	if r.tenant == nil {
		return reply{}, errNoTenant
	}
	handle, err := a.routes.find(r)
	if err != nil {
		return reply{}, err
	}
	return handle(r)
}

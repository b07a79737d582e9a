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
	"crypto/x509"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/api/mail"
	"metahub/api/model"
	"metahub/api/upload"
	"metahub/store"
	"metahub/tenant"
)

// Config is what an API needs. Store and Registry must be set.
type Config struct {
	Store    *store.Store
	Registry *tenant.Registry
	// Models holds *.yaml model files in place of the built-in ones; nil means the built-in ones.
	Models fs.FS
	// Uploads holds the files of documents; nil: none are taken or served.
	Uploads *upload.Files
	// OnLeave calls f in a goroutine of its own when a client leaves; stop takes that back. nil: a heartbeat that cannot be written shows it.
	OnLeave func(client net.Conn, f func()) (stop func() bool)
	// MailRoots sign the certificates of mail servers; nil means the system's.
	MailRoots *x509.CertPool
	// Logger may be nil.
	Logger *zap.Logger
}

// API serves the resources of every tenant. Its methods may be called at once from any number of goroutines.
type API struct {
	store     *store.Store
	registry  *tenant.Registry
	log       *zap.Logger
	files     fs.FS // of the models; nil: the built-in ones
	resources atomic.Pointer[resources]
	reloading sync.Mutex
	uploads   *upload.Files
	outbox    *mail.Outbox
	passwords *hasher
	attempts  *attempts
	events    *bus
	onLeave   func(client net.Conn, f func()) (stop func() bool)
	recall    *recall
	maxPage   int
	maxSkip   int
	heartbeat time.Duration
	patience  time.Duration
	now       func() time.Time
}

// resources are what one load of the models makes. They are not changed afterwards: a request keeps those that it began with.
type resources struct {
	models  *model.Set
	watched []string // the fields that say who is shown a document
	users   *model.Model
	routes  router
	indexed indexed
}

// New compiles the models. Its error is model.Faults where the model files are at fault, all faults at once.
func New(config Config) (*API, error) {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if config.OnLeave == nil {
		config.OnLeave = func(net.Conn, func()) func() bool { return func() bool { return true } }
	}
	a := &API{
		store:     config.Store,
		registry:  config.Registry,
		log:       config.Logger,
		files:     config.Models,
		uploads:   config.Uploads,
		outbox:    mail.NewOutbox(mail.Config{Logger: config.Logger.Named("mail"), Roots: config.MailRoots}),
		passwords: newHasher(),
		attempts:  newAttempts(),
		onLeave:   config.OnLeave,
		recall:    newRecall(config.Registry),
		maxPage:   maxPage,
		maxSkip:   maxSkip,
		heartbeat: heartbeat,
		patience:  requestTimeout,
		now:       time.Now,
	}
	a.events = newBus(a.followChanges)
	return a, a.ReloadModels()
}

// Close gives up the mails that wait. Requests may still be answered.
func (a *API) Close() { a.outbox.Close() }

// Handle answers one request, for the tenant that the gateway bound to it. It is a fasthttp.RequestHandler.
func (a *API) Handle(http *fasthttp.RequestCtx) {
	r := &request{http: http, tenant: tenant.FromContext(http), resources: a.resources.Load(), directory: a.registry.Current(), language: negotiate(http), patience: a.patience}
	r.who = &r.sender
	r.startClock(&r.clock)
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
	if tag := a.recall.tag(r, a.now); tag != "" && r.unchanged(tag) {
		return reply{status: fasthttp.StatusOK, etag: tag}, nil
	}
	handle, err := r.resources.routes.find(r)
	if err != nil {
		return reply{}, err
	}
	return handle(r)
}

// Package mail sends the mails of tenants, each by the tenant's own server.
//
//	outbox := mail.NewOutbox(mail.Config{Logger: log})
//	err := outbox.Send(t, func(ctx context.Context) (*mail.Message, error) { … }) // at once; what it makes is sent later
//	outbox.Close()
//
// Each tenant has a lane, in which one mail is made and delivered at a time, and which is bounded. A server that is dead or slow holds up its
// own tenant alone. What cannot be delivered within minutes is given up: the mails are such that somebody waits for, and asks for again. Nothing
// is kept on disk.
package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"metahub/tenant"
)

const (
	// maxWaiting is how many mails of a tenant wait for the one that is being sent.
	maxWaiting = 50
	// maxSending is how many tenants' mails are being sent at once, and maxDoubtful how many of those whose last one was not delivered: these
	// take no place from the others.
	maxSending, maxDoubtful = 32, 32
	// maxAge is how long a mail waits for its turn. Nobody waits for it any more then.
	maxAge = 10 * time.Minute
)

// ErrFull says that too many mails of the tenant wait.
var ErrFull = errors.New("too many mails of the tenant wait to be sent")

// Config is what an outbox needs.
type Config struct {
	// Logger may be nil.
	Logger *zap.Logger
	// Roots sign the certificates of servers; nil means the system's.
	Roots *x509.CertPool
	// Pauses are before each further attempt to deliver a mail; nil means a few, within three minutes.
	Pauses []time.Duration
}

// Message is a mail of plain text.
type Message struct{ To, Subject, Text string }

// Outbox sends mails. Its methods may be called at once from any number of goroutines.
type Outbox struct {
	config          Config
	ctx             context.Context
	stop            context.CancelFunc
	running         sync.WaitGroup
	fresh, doubtful chan struct{}

	mu      sync.Mutex
	lanes   map[string]*lane // by slug, of tenants whose mails wait or are being sent
	failing map[string]bool  // by slug, of tenants whose last mail was not delivered
	closed  bool
}

// lane is what waits of a tenant.
type lane struct{ waiting []task }

type task struct {
	by    tenant.Mail
	write func(context.Context) (*Message, error)
	at    time.Time
}

// NewOutbox makes an outbox, which has nothing to do yet.
func NewOutbox(config Config) *Outbox {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if config.Pauses == nil {
		config.Pauses = []time.Duration{2 * time.Second, 20 * time.Second, 2 * time.Minute}
	}
	o := &Outbox{
		config: config, fresh: make(chan struct{}, maxSending), doubtful: make(chan struct{}, maxDoubtful),
		lanes: map[string]*lane{}, failing: map[string]bool{},
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// Send has a mail of a tenant written and sent, and waits for neither. write is called in a goroutine of the outbox, again where it fails, and may
// return nil where there is nothing to be sent. The error is ErrFull.
func (o *Outbox) Send(t *tenant.Tenant, write func(context.Context) (*Message, error)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrFull
	}
	l := o.lanes[t.Slug]
	if l == nil {
		l = &lane{}
		o.lanes[t.Slug] = l
		o.running.Add(1)
		go o.run(t.Slug, l)
	}
	if len(l.waiting) == maxWaiting {
		return ErrFull
	}
	l.waiting = append(l.waiting, task{t.Mail, write, time.Now()})
	return nil
}

// Close gives up what waits and what is being sent.
func (o *Outbox) Close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.stop()
	o.running.Wait()
}

// run sends the mails of a lane until none waits.
func (o *Outbox) run(slug string, l *lane) {
	defer o.running.Done()
	for {
		next, ok := o.next(slug, l)
		if !ok {
			return
		}
		if err := o.send(slug, next); err != nil && o.ctx.Err() == nil {
			o.config.Logger.Warn("a mail is not sent", zap.String("tenant", slug), zap.Error(err))
		}
	}
}

func (o *Outbox) next(slug string, l *lane) (t task, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(l.waiting) == 0 || o.closed {
		delete(o.lanes, slug)
		return t, false
	}
	t, l.waiting = l.waiting[0], l.waiting[1:]
	return t, true
}

// send makes and delivers a mail, and tries again where that may help.
func (o *Outbox) send(slug string, t task) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	if waited := time.Since(t.at); waited > maxAge {
		return fmt.Errorf("it has waited for %s", waited.Round(time.Second))
	}
	var m *Message
	for attempt := 0; ; attempt++ {
		err = o.once(slug, t, &m)
		if err == nil || isFinal(err) || attempt == len(o.config.Pauses) {
			return err
		}
		select {
		case <-time.After(o.config.Pauses[attempt]):
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
	}
}

// once makes a mail, where it is not made yet, and tries to deliver it.
func (o *Outbox) once(slug string, t task, m **Message) (err error) {
	slots := o.fresh
	if o.isFailing(slug) {
		slots = o.doubtful
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
	if *m == nil {
		if *m, err = t.write(o.ctx); err != nil || *m == nil {
			return err
		}
	}
	err = o.deliver(t.by, *m)
	o.setFailing(slug, err != nil && !isFinal(err))
	return err
}

func (o *Outbox) isFailing(slug string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failing[slug]
}

func (o *Outbox) setFailing(slug string, is bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if is {
		o.failing[slug] = true
	} else {
		delete(o.failing, slug)
	}
}

package certificate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/issuer"
	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/rehearsal"
	"metahub/gateway/certificate/tickets"
	"metahub/tenant"
)

// closePatience bounds how long Stop waits for the storage.
const closePatience = 5 * time.Second

// buildOrders makes what orders go through. Nothing of it runs yet.
func (k *Keeper) buildOrders() error {
	sources, err := newSources(k.settings, k.storage, k.challenges, k.clock, k.logger)
	if err != nil {
		return err
	}
	for _, name := range []string{k.settings.Issuer, k.settings.Fallback} {
		if name == "" || name == tenant.IssuerInternal {
			continue
		}
		if _, err := sources.named(name); err != nil {
			return err
		}
	}
	providers, err := newProviders(k.settings.DNS)
	if err != nil {
		return err
	}
	k.supply = &supply{
		settings: k.settings, registry: k.registry, storage: k.storage, shelf: k.shelf,
		sources: sources, providers: providers, clock: k.clock, logger: k.logger,
		limits: orders.NewLimits(k.storage, k.clock, k.logger),
	}
	if k.settings.Rehearsal {
		k.supply.rehearsal = k.newRehearsal()
	}
	k.queue = orders.New(orders.Config{
		Clock: k.clock, Do: k.supply.obtain, Ask: k.supply.renewal, Pace: k.supply.pace, Logger: k.logger,
	})
	return nil
}

func (k *Keeper) newRehearsal() *rehearsal.Rehearsal {
	config := rehearsal.Config{
		Resolver: k.settings.Resolver, Addresses: k.settings.Addresses, Port: k.settings.ValidationPort, Logger: k.logger,
	}
	if slices.Contains(k.settings.Challenges, tenant.ChallengeHTTP01) { // else nobody needs port 80
		config.Announce = k.challenges.Announce
	}
	return rehearsal.New(config)
}

func newProviders(declared []tenant.DNSProvider) (map[string]issuer.DNSProvider, error) {
	providers := make(map[string]issuer.DNSProvider, len(declared))
	for _, d := range declared {
		settings := make(map[string]string, len(d.Settings))
		for name, secret := range d.Settings {
			settings[name] = secret.Reveal()
		}
		provider, err := issuer.NewDNSProvider(d.Kind, settings)
		if err != nil {
			return nil, fmt.Errorf("gateway.certificates.dns %q: %w", d.Name, err)
		}
		providers[d.Name] = provider
	}
	return providers, nil
}

// Start begins to watch the PEM files and the storage, and to rotate the keys of session tickets. New has read them once already.
func (k *Keeper) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	k.stop = cancel
	k.background.Go(func() { k.watch(ctx, newWatches(k.logger)) })
	k.background.Go(func() { k.follow(ctx) })
	k.background.Go(func() { k.sealAll(ctx) })
	rotation, err := tickets.Start(ctx, tickets.Config{Storage: k.storage, Set: k.tickets.SetSessionTicketKeys, Logger: k.logger})
	if err != nil {
		k.logger.Warn("the keys of session tickets are this process's own, sessions do not resume at other gateways", zap.Error(err))
		return
	}
	k.rotation = rotation
}

// StartOrders begins to order certificates. Whoever calls it answers ports 80 and 443 by now, or orders would fail.
func (k *Keeper) StartOrders() {
	k.ordering.Store(true)
	k.queue.Start()
}

// StopOrders ends orders and waits for those that are under way. It goes before the ports are closed, as a CA that finds nobody there
// counts that against the domain.
func (k *Keeper) StopOrders() {
	if k.ordering.CompareAndSwap(true, false) {
		k.queue.Stop()
	}
}

// Stop ends orders and the watching and waits for both. Handshakes go on being answered.
func (k *Keeper) Stop() {
	k.StopOrders()
	k.stop()
	if k.rotation != nil {
		k.rotation.Stop()
	}
	k.background.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if err := k.storage.Close(ctx); err != nil {
		k.logger.Debug("closing the certificate storage", zap.Error(err))
	}
}

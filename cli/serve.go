package cli

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// drainTimeout is how long requests in flight may take to end after SIGTERM.
const drainTimeout = 30 * time.Second

func newServe(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the tenants of tenants.yaml, as metahub without a command does",
		Long: `Serve runs until SIGTERM or Ctrl-C, then finishes what is in flight for up to 30 seconds; a second signal ends it at
once. A saved tenants.yaml is read again by itself, and on SIGHUP; a tenant at fault keeps its last good version
and costs the others nothing.`,
		Example: `  metahub serve
  metahub serve --config /etc/metahub/tenants.yaml --https :443 --http :80`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return serve(s) },
	}
}

// serve runs a server until a signal ends it.
func serve(s *settings) error {
	log, flush, err := newLogger(s.process.Stderr, s.logLevel, s.logFormat)
	if err != nil {
		return err
	}
	defer flush()
	running, err := start(s.source(), log)
	if err != nil {
		return err
	}
	running.writeSummary(s.process.Stdout)
	running.ready()
	running.waitForStop(s.process.Signals)
	return running.stopWithin(drainTimeout, s.process.Signals)
}

// waitForStop returns on the first signal that asks for an end, and reads tenants.yaml again on SIGHUP.
func (s *server) waitForStop(signals <-chan os.Signal) {
	for signal := range signals {
		if signal != syscall.SIGHUP {
			s.log.Info("stopping: finishing what is in flight", zap.Stringer("signal", signal), zap.Duration("limit", drainTimeout))
			return
		}
		s.reloads.Reload()
		s.reloadModels()
	}
}

// stopWithin stops every part. What is in flight may take until limit or until the next signal; then it is cut off, and the error
// says so.
func (s *server) stopWithin(limit time.Duration, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		for {
			select {
			case signal, open := <-signals:
				if open && signal == syscall.SIGHUP {
					continue
				}
				cancel()
				return
			case <-stopped:
				return
			}
		}
	}()
	if err := s.stop(ctx); err != nil {
		return fmt.Errorf("stopped, but not cleanly: %w", err)
	}
	s.log.Info("stopped")
	return nil
}

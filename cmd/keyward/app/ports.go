package app

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/services/gateway"
)

// probeAddrs binds every address that is going to be listened on, all of them at the same time, and lets go of them again. An error has
// a line for each that cannot be bound, beginning with its setting: what is started one after the other would name one a start.
func (a *App) probeAddrs(ctx context.Context) error {
	var errs []error
	var bound []net.Listener
	for _, l := range a.listeners() {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.setting, err))
			continue
		}
		bound = append(bound, listener)
	}
	for _, listener := range bound {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}

type listenAddr struct{ setting, addr string }

// listeners returns what this process is going to listen on.
func (a *App) listeners() []listenAddr {
	all := []listenAddr{{"admin_addr", a.cfg.AdminAddr}}
	if a.cfg.Runs(settings.Gateway) {
		all = append(all, listenAddr{"http_addr", a.cfg.HTTP.Addr})
		if a.cfg.HTTP.GRPCAddr != gateway.Off {
			all = append(all, listenAddr{"grpc_addr", a.cfg.HTTP.GRPCAddr})
		}
	}
	if a.cfg.NATS.URL == "" && a.cfg.NATS.Addr != "" && a.cfg.NATS.Addr != gateway.Off {
		all = append(all, listenAddr{"nats_addr", a.cfg.NATS.Addr})
	}
	return all
}

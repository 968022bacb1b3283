package outage

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// startLimit is for a machine that has much else to do.
const startLimit = 5 * time.Minute

// serviceNames are those of the services behind a gateway.
var serviceNames = []string{"events", "decision", "ceremony"}

// unlimited lets one client call for all.
var unlimited = []string{"KEYWARD_RATE_LIMIT_PROJECT=off", "KEYWARD_RATE_LIMIT_ADDRESS=off"}

// instance is a process of Keyward.
type instance struct {
	cmd     *exec.Cmd
	address string                    // of the API, if it is a gateway
	ready   string                    // URL
	again   func() (*instance, error) // starts another like it
}

// installation is Keyward as processes, with NATS and Redis beside them.
type installation struct {
	*fleet.Contender
	services map[string][]*instance // by the name of the service, in the order in which they were started
	gateway  *instance              // that callers call
}

// pairs starts two of each service with one NATS server, and returns who may call them.
func pairs(ctx context.Context, of *fleet.Fleet, env ...string) (*installation, crowd, error) {
	nats, err := of.Nats(ctx, "nats")
	if err != nil {
		return nil, nil, err
	}
	return several(ctx, of, 2, nats, env...)
}

// fronted starts a second gateway and a balancer before both, and returns who may call that. Close the balancer.
func (in *installation) fronted(ctx context.Context, of *fleet.Fleet) (front *balancer, second *instance, users crowd, err error) {
	if second, err = in.gateway.again(); err != nil {
		return nil, nil, nil, err
	}
	if err := second.answering(ctx); err != nil {
		return nil, nil, nil, err
	}
	if front, err = balance(ctx, in.gateway, second); err != nil {
		return nil, nil, nil, err
	}
	if users, err = in.populate(of, front.address()); err != nil {
		front.close()
	}
	return front, second, users, err
}

// several starts as many instances of each service as are asked for, and one gateway, which is what callers know the address of. It
// returns who may call, too.
func several(ctx context.Context, of *fleet.Fleet, each int, nats string, env ...string) (*installation, crowd, error) {
	redis, err := of.Redis(ctx)
	if err != nil {
		return nil, nil, err
	}
	env = append(env, "KEYWARD_REDIS_URL="+redis, "KEYWARD_NATS_URL="+nats)
	env = append(env, unlimited...)
	in := &installation{Contender: new(fleet.Contender), services: map[string][]*instance{}}
	var all []*instance
	for _, name := range serviceNames {
		for range each {
			one, err := in.start(of, name, env)
			if err != nil {
				return nil, nil, err
			}
			in.services[name] = append(in.services[name], one)
			all = append(all, one)
		}
	}
	if in.gateway, err = in.start(of, "gateway", env); err != nil {
		return nil, nil, err
	}
	for _, one := range append(all, in.gateway) {
		if err := one.answering(ctx); err != nil {
			return nil, nil, err
		}
	}
	users, err := in.populate(of, in.Address)
	return in, users, err
}

// populate makes users, and returns who may call about them at an address.
func (in *installation) populate(of *fleet.Fleet, address string) (crowd, error) {
	in.Address = address
	if _, err := of.Populate(in.Contender, address, fleet.Crowd{Users: 50, Events: 10}); err != nil {
		return nil, err
	}
	return crowdOf(in.Contender)
}

// start starts an instance, which is not ready yet.
func (in *installation) start(of *fleet.Fleet, service string, env []string) (*instance, error) {
	address := fleet.FreeAddress()
	ready, err := of.Keyward(in.Contender, address, service, env)
	if err != nil {
		return nil, err
	}
	return &instance{
		cmd: in.Processes[len(in.Processes)-1], address: address, ready: ready,
		again: func() (*instance, error) { return in.start(of, service, env) },
	}, nil
}

// answering waits until the instance says that it is ready.
func (i *instance) answering(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for !isReady(ctx, i.ready) {
		if ctx.Err() != nil {
			return fmt.Errorf("%s did not answer: %w", i.ready, ctx.Err())
		}
		pause(ctx, backOff)
	}
	return nil
}

func isReady(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = rsp.Body.Close()
	return rsp.StatusCode == http.StatusOK
}

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
	cmd   *exec.Cmd
	ready string // URL
	again func() (*instance, error)
}

// installation is Keyward as processes, with NATS and Redis beside them.
type installation struct {
	*fleet.Contender
	services map[string][]*instance // by the name of the service, in the order in which they were started
}

// pairs starts two of each service with one NATS server, and returns who may call them.
func pairs(ctx context.Context, of *fleet.Fleet) (*installation, crowd, error) {
	nats, err := of.Nats(ctx, "nats")
	if err != nil {
		return nil, nil, err
	}
	return several(ctx, of, 2, nats)
}

// several starts as many instances of each service as are asked for, and one gateway, which is what callers know the address of. It returns who may
// call, too.
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
	gateway, err := in.start(of, "gateway", env)
	if err != nil {
		return nil, nil, err
	}
	for _, one := range append(all, gateway) {
		if err := one.answering(ctx); err != nil {
			return nil, nil, err
		}
	}
	if _, err := of.Populate(in.Contender, in.Address, fleet.Crowd{Users: 50, Events: 10}); err != nil {
		return nil, nil, err
	}
	users, err := crowdOf(in.Contender)
	return in, users, err
}

// start starts an instance, which is not ready yet.
func (in *installation) start(of *fleet.Fleet, service string, env []string) (*instance, error) {
	ready, err := of.Keyward(in.Contender, fleet.FreeAddress(), service, env)
	if err != nil {
		return nil, err
	}
	return &instance{
		cmd: in.Processes[len(in.Processes)-1], ready: ready,
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

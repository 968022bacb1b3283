package stages

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/bench/internal/fleet"
)

const (
	warmers  = 50
	measured = 400 // users, each of whom makes each call once
)

//go:embed bounds.yaml
var written []byte

// bound is what a call of a kind may cost at most, and why it costs that.
type bound struct {
	Allocations float64 `yaml:"allocations"`
	Messages    float64 `yaml:"messages"`
	Flushes     float64 `yaml:"flushes"`
	Why         string  `yaml:"why"`
}

// Measure prints what a call of each kind costs, made by one caller, and says which passes its bound. Allocations are those of one process
// with nothing beside it, messages, flushes and round trips those of one with a NATS server and a Redis, where they can be counted. Flushes
// are those that nobody waits for too, some of which come later.
func Measure(ctx context.Context, f *fleet.Fleet) error {
	bounds, err := readBounds()
	if err != nil {
		return err
	}
	alone, err := costs(f.Profiles, func() (*caller, meter, error) { return embedded(ctx, f) })
	if err != nil {
		return fmt.Errorf("one process alone: %w", err)
	}
	beside, err := costs("", func() (*caller, meter, error) { return withStores(ctx, f) })
	if err != nil {
		return fmt.Errorf("one process with NATS and Redis: %w", err)
	}
	fmt.Printf("\nOne call of each kind, %d made one after the other, every write on disk; in brackets the bound\n\n", measured)
	t := fleet.NewTable("CPU µs", "allocations", "", "NATS messages", "", "flushes", "", "Redis round trips")
	var passed []error
	for _, kind := range kinds {
		cost, most := beside[kind.name], bounds[kind.name]
		cost.micros, cost.allocations = alone[kind.name].micros, alone[kind.name].allocations
		t.Row(
			kind.name, "%.0f", cost.micros, "%.0f", cost.allocations, "(%.0f)", most.Allocations, "%.1f", cost.messages, "(%.0f)", most.Messages,
			"%.1f", cost.flushes, "(%.0f)", most.Flushes, "%.1f", cost.trips,
		)
		passed = append(passed, most.passed(kind.name, cost)...)
	}
	return errors.Join(append([]error{t.Print()}, passed...)...)
}

func readBounds() (map[string]bound, error) {
	var bounds map[string]bound
	if err := yaml.Unmarshal(written, &bounds); err != nil {
		return nil, fmt.Errorf("bounds.yaml: %w", err)
	}
	return bounds, nil
}

// passed says what of a cost is more than it may be.
func (b bound) passed(kind string, cost counts) (passed []error) {
	const exact = 0.05 // what a message of something else, now and then, makes of a count that is whole
	for _, c := range []struct {
		what      string
		got, most float64
	}{
		{"allocations", cost.allocations, b.Allocations},
		{"messages", cost.messages, b.Messages},
		{"flushes", cost.flushes, b.Flushes + exact},
	} {
		if c.got > c.most {
			passed = append(passed, fmt.Errorf("%s: %.2f %s a call, and %.0f is the bound: %s", kind, c.got, c.what, c.most, b.Why))
		}
	}
	return passed
}

// behind is how long what the users were made with may go on in the background: it is not of the calls that are measured.
const behind = 5 * time.Second

// costs returns what a call of each kind costs, and writes profiles to a directory, if one is named.
func costs(profiles string, open func() (*caller, meter, error)) (map[string]counts, error) {
	c, m, err := open()
	if err != nil {
		return nil, err
	}
	for range warmers + measured {
		u, err := c.settle()
		if err != nil {
			return nil, err
		}
		c.users = append(c.users, u)
	}
	for _, kind := range kinds {
		for _, u := range c.users[:warmers] {
			if err := kind.call(c, u); err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
		}
	}
	for _, u := range c.users[warmers:] { // so that what is measured is not the first read of a history
		if err := c.loginStart(u); err != nil {
			return nil, err
		}
	}
	time.Sleep(behind)
	cost := map[string]counts{}
	for _, kind := range kinds {
		p := profiler{dir: profiles, kind: kind.name, admin: m.admin}
		if cost[kind.name], err = c.cost(m, p, kind.call); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return cost, nil
}

// cost makes a call for each user, and takes off what it costs to ask.
func (c *caller) cost(m meter, p profiler, call func(*caller, *user) error) (counts, error) {
	if err := p.write("before"); err != nil {
		return counts{}, err
	}
	asked, err := m.read()
	if err != nil {
		return counts{}, err
	}
	before, err := m.read()
	if err != nil {
		return counts{}, err
	}
	for _, u := range c.users[warmers:] {
		if err := call(c, u); err != nil {
			return counts{}, err
		}
	}
	after, err := m.read()
	if err != nil {
		return counts{}, err
	}
	if err := p.write("after"); err != nil {
		return counts{}, err
	}
	if after.flushes, err = m.settled(); err != nil {
		return counts{}, err
	}
	return after.less(before).less(before.less(asked)).over(measured), nil
}

// embedded starts a Keyward of one process that needs nothing beside it.
func embedded(ctx context.Context, f *fleet.Fleet) (*caller, meter, error) {
	env := []string{"KEYWARD_NATS_ADDR=off", "KEYWARD_SYNC_INTERVAL=always"}
	if f.Profiles != "" {
		env = append(env, "KEYWARD_ADMIN_PROFILES=true", "GODEBUG=memprofilerate=1")
	}
	return start(ctx, f, env...)
}

// withStores starts one with a NATS server and a Redis.
func withStores(ctx context.Context, f *fleet.Fleet) (*caller, meter, error) {
	nats, monitor, err := f.WatchedNats(ctx, "stages")
	if err != nil {
		return nil, meter{}, err
	}
	redis, err := f.Redis(ctx)
	if err != nil {
		return nil, meter{}, err
	}
	c, m, err := start(ctx, f, "KEYWARD_NATS_URL="+nats, "KEYWARD_REDIS_URL="+redis)
	m.nats, m.redis = monitor, strings.TrimSuffix(strings.TrimPrefix(redis, "redis://"), "/0")
	return c, m, err
}

func start(ctx context.Context, f *fleet.Fleet, env ...string) (*caller, meter, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, meter{}, fmt.Errorf("make a directory: %w", err)
	}
	contender, address := &fleet.Contender{}, fleet.FreeAddress()
	ready, err := f.Keyward(contender, address, "all", append(env,
		"KEYWARD_DATA_DIR="+data, "KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off"))
	if err != nil {
		return nil, meter{}, err
	}
	return &caller{address: address}, meter{admin: contender.Admin}, fleet.Answering(ctx, ready)
}

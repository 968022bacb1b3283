package outage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/core/bus"
)

const (
	members  = 3
	slot     = 100 * time.Millisecond // in which answers are counted
	watched  = 20 * time.Second       // after a leader was killed
	nearOut  = 0.1                    // of the usual answers; a slot with fewer is one of near outage
	caughtUp = 5 * time.Minute        // what a killed server may take to be one of them again
)

// cluster is NATS servers that keep streams together.
type cluster struct {
	of    *fleet.Fleet
	nodes [members]*node
}

type node struct {
	name, address, config string
	cmd                   *exec.Cmd
}

// startCluster starts servers that are set up as deploy/nats-server.conf says, but for users.
func startCluster(ctx context.Context, of *fleet.Fleet) (*cluster, error) {
	c := &cluster{of: of}
	var routes []string
	for range members {
		routes = append(routes, "nats://"+fleet.FreeAddress())
	}
	for i, route := range routes {
		n := &node{name: fmt.Sprint("node-", i), address: fleet.FreeAddress(), config: filepath.Join(of.Dir, fmt.Sprintf("node-%d.conf", i))}
		text := fmt.Sprintf(
			"server_name: %q\nlisten: %q\nmax_payload: 4MB\nping_interval: \"1s\"\nping_max: 2\nwrite_deadline: \"3s\"\n"+
				"jetstream { store_dir: %q, sync_interval: always, max_file: 64GB }\ncluster { name: bench, listen: %q, routes: [%q, %q, %q] }\n",
			n.name, n.address, filepath.Join(of.Dir, n.name), strings.TrimPrefix(route, "nats://"), routes[0], routes[1], routes[2],
		)
		if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write nats configuration: %w", err)
		}
		c.nodes[i] = n
		if err := c.start(n); err != nil {
			return nil, err
		}
	}
	return c, c.whole(ctx)
}

func (c *cluster) start(n *node) (err error) {
	n.cmd, err = c.of.Launch(nil, c.of.NatsServer, "-c", n.config, "-l", filepath.Join(c.of.Dir, n.name+".log"))
	return err
}

func (c *cluster) url() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, "nats://"+n.address)
	}
	return strings.Join(all, ",")
}

// whole waits until each server is one of them, and holds all of what there is.
func (c *cluster) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, caughtUp)
	defer cancel()
	for {
		err := c.missing(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the cluster does not become whole: %w", err)
		}
		pause(ctx, slot)
	}
}

var errBehind = errors.New("a server is behind")

func (c *cluster) missing(ctx context.Context) error {
	for _, n := range c.nodes {
		conn, err := net.DialTimeout("tcp", n.address, time.Second)
		if err != nil {
			return fmt.Errorf("reach %s: %w", n.name, err)
		}
		_ = conn.Close()
	}
	return c.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		if _, err := js.AccountInfo(ctx); err != nil {
			return fmt.Errorf("ask for the account: %w", err)
		}
		list := js.ListStreams(ctx)
		for s := range list.Info() {
			if s.Cluster == nil || s.Config.Replicas < members {
				continue
			}
			behind := func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline || p.Lag > 0 }
			if s.Cluster.Leader == "" || slices.ContainsFunc(s.Cluster.Replicas, behind) {
				return fmt.Errorf("%w: of %s", errBehind, s.Config.Name)
			}
		}
		return list.Err()
	})
}

func (c *cluster) ask(ctx context.Context, about func(context.Context, jetstream.JetStream) error) error {
	conn, err := nats.Connect(c.url(), nats.Timeout(time.Second))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return about(ctx, js)
}

// leader returns the server that takes events.
func (c *cluster) leader(ctx context.Context) (n *node, err error) {
	err = c.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, bus.EventsStream)
		if err != nil {
			return fmt.Errorf("look at %s: %w", bus.EventsStream, err)
		}
		for _, one := range c.nodes {
			if one.name == s.CachedInfo().Cluster.Leader {
				n = one
			}
		}
		return nil
	})
	if err == nil && n == nil {
		err = fmt.Errorf("%w: there is no leader", errBehind)
	}
	return n, err
}

// Leaders measures for how long next to nothing is answered when the leader of the stream of events is killed, one of three NATS servers.
// A slot of 100 ms is one of near outage if less than a tenth of what is usual is answered well.
func Leaders(ctx context.Context, of *fleet.Fleet) error {
	c, err := startCluster(ctx, of)
	if err != nil {
		return err
	}
	_, users, err := several(ctx, of, 1, c.url(), "KEYWARD_NATS_REPLICAS=3")
	if err != nil {
		return err
	}
	fmt.Printf(
		"three NATS servers; the leader of the stream of events is killed (kill -9) %d times, %d connections\n"+
			"near outage: how long less than a tenth of the usual calls were answered well, within %s\n\n", of.Rounds, of.Connections, watched,
	)
	t := fleet.NewTable(
		"usual calls/s", "all s", kindNames[logins]+" s", kindNames[appends]+" s", kindNames[lists]+" s", "failed", "slowest s",
	)
	var outages [kinds + 1][]float64
	for round := range of.Rounds {
		r, err := c.kill(ctx, users, of.Connections)
		if err != nil {
			return err
		}
		for i, d := range r.out {
			outages[i] = append(outages[i], d.Seconds())
		}
		tell(r.failed)
		t.Row(
			fmt.Sprint("kill ", round+1), "%.0f", r.usual, "%.1f", r.out[kinds].Seconds(), "%.1f", r.out[logins].Seconds(), "%.1f",
			r.out[appends].Seconds(), "%.1f", r.out[lists].Seconds(), "%s", tally(r.failed), "%.1f", r.slowest.Seconds(),
		)
	}
	for _, q := range []struct {
		name string
		of   float64
	}{{"median", 0.5}, {"90 %", 0.9}, {"worst", 1}} {
		t.Row(
			q.name, "%s", "", "%.1f", quantile(outages[kinds], q.of), "%.1f", quantile(outages[logins], q.of), "%.1f",
			quantile(outages[appends], q.of), "%.1f", quantile(outages[lists], q.of), "%s", "", "%s", "",
		)
	}
	return t.Print()
}

type killed struct {
	usual   float64
	out     [kinds + 1]time.Duration // by kind, and of all calls
	failed  []call
	slowest time.Duration
}

func (c *cluster) kill(ctx context.Context, users crowd, connections int) (k killed, err error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return k, err
	}
	calling := users.callApart(ctx, connections)
	defer calling.stop()
	pause(ctx, noticing) // for connections to be made
	began := time.Now()
	pause(ctx, noticing)
	at := time.Now()
	if err := leader.cmd.Process.Kill(); err != nil {
		return k, fmt.Errorf("kill %s: %w", leader.name, err)
	}
	_ = leader.cmd.Wait()
	pause(ctx, watched)
	end := time.Now()
	calls := calling.finish()
	k.usual = rate(calls, began, at)
	for kind := range kinds {
		k.out[kind] = nearOutage(only(calls, kind), began, at, end)
	}
	k.out[kinds] = nearOutage(calls, began, at, end)
	k.failed = failed(calls, at, end)
	for _, one := range calls {
		k.slowest = max(k.slowest, one.ended.Sub(one.began))
	}
	if err := c.start(leader); err != nil {
		return k, err
	}
	return k, errors.Join(c.whole(ctx), ctx.Err())
}

// nearOutage adds up the slots after at in which next to nothing was answered.
func nearOutage(calls []call, began, at, end time.Time) (out time.Duration) {
	enough := nearOut * rate(calls, began, at)
	answered := make([]float64, end.Sub(at)/slot)
	for _, c := range calls {
		if i := int(c.ended.Sub(at) / slot); c.ok() && !c.ended.Before(at) && i < len(answered) {
			answered[i] += 1 / slot.Seconds()
		}
	}
	for _, rate := range answered {
		if rate < enough {
			out += slot
		}
	}
	return out
}

// tally says how many calls ended with which status.
func tally(calls []call) string {
	counts := map[int]int{}
	for _, c := range calls {
		counts[c.status]++
	}
	var parts []string
	for status, n := range counts {
		parts = append(parts, fmt.Sprintf("%d×%d", n, status))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, " ")
}

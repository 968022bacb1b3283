// Package disturbed measures how long login starts take while something else goes on in the same process: the policy is loaded anew, all
// users are exported, or a webhook's endpoint is dead. It touches the servers of a fleet, and writes the policy that one of them follows.
package disturbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/policies"
)

const (
	mostSlower  = 2      // times the p99 of the quiet rounds that the others may have
	connections = 8      // fewer than saturate everything, so that p99 is not of a queue alone
	mostUsers   = 30_000 // that an export is of
	eventPause  = 20 * time.Millisecond
	policyPause = time.Second
)

// installation is one Keyward with its users, and the policy that it follows.
type installation struct {
	*fleet.Fleet
	*fleet.Contender
	data, policies string
	changes        int // of the policy's files
	loaded         int // rounds in which that had another policy answer
	tried          int // deliveries to the dead endpoint
}

// disturbances go on until their context ends.
var disturbances = []struct { //nolint:gochecknoglobals // a table
	name string
	run  func(*installation, context.Context) error
}{
	{"nothing else", func(_ *installation, ctx context.Context) error { <-ctx.Done(); return nil }},
	{"a policy file changed each second", (*installation).changePolicy},
	{"all users exported over and over", (*installation).export},
	{"a webhook's endpoint dead", (*installation).tellNobody},
}

// Compare prints the p99 of login starts while something else goes on, of rounds that take turns. An error says what makes it more than
// twice the quiet one. Events are stored in every round, fifty a second at most.
func Compare(ctx context.Context, f *fleet.Fleet) error {
	in, err := start(ctx, f)
	if err != nil {
		return err
	}
	results := make([]fleet.Rounds, len(disturbances))
	for round := range f.Rounds + 1 {
		for i, d := range disturbances {
			got, err := in.during(ctx, d.run)
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			if round > 0 {
				results[i] = append(results[i], got)
			}
		}
	}
	fmt.Printf(
		"POST %s, %d users of %d, one process, %d connections, median of %d rounds of %s, all on the same cores\n\n",
		fleet.Path, fleet.Usual.Users, fleet.Usual.Users+min(f.Users, mostUsers), connections, f.Rounds, f.Duration,
	)
	t := fleet.NewTable("calls/s", "of quiet", "p50 ms", "p99 ms", "of quiet")
	errs := []error{nil}
	for i, d := range disturbances {
		r, quiet := results[i], results[0]
		slower := r.P99() / quiet.P99()
		t.Row(d.name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/quiet.Rate(), "%.2f", r.P50(), "%.2f", r.P99(), "%.1f", slower)
		if slower > mostSlower {
			errs = append(errs, fmt.Errorf("%s: the p99 is %.1f times the quiet one, and %d is the bound", d.name, slower, mostSlower))
		}
	}
	errs[0] = t.Print()
	if in.loaded == 0 || in.tried == 0 {
		errs = append(errs, fmt.Errorf("in %d rounds another policy answered, and %d deliveries were tried: too few", in.loaded, in.tried))
	}
	return errors.Join(errs...)
}

func start(ctx context.Context, f *fleet.Fleet) (*installation, error) {
	in := &installation{Fleet: f, data: filepath.Join(f.Dir, "disturbed"), policies: filepath.Join(f.Dir, "policies")}
	if err := os.CopyFS(in.policies, policies.Bundle); err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	var err error
	in.Contender, err = f.In(
		ctx, in.data, "disturbed", "KEYWARD_POLICIES="+in.policies, "KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
		"KEYWARD_WEBHOOKS_ALLOW_HTTP=true", "KEYWARD_WEBHOOKS_ALLOW_CIDRS=127.0.0.0/8",
	)
	if err != nil {
		return nil, err
	}
	if err := f.Import(ctx, in.Contender, in.data, min(f.Users, mostUsers)); err != nil {
		return nil, err
	}
	_, err = f.Populate(in.Contender, in.Address, fleet.Usual)
	return in, err
}

// during measures a round while something goes on.
func (in *installation) during(ctx context.Context, run func(*installation, context.Context) error) (fleet.Sample, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	beside, ctx := errgroup.WithContext(ctx)
	beside.Go(func() error { return run(in, ctx) })
	beside.Go(func() error { return in.storeEvents(ctx) })
	got, err := in.Round(ctx, connections, in.Duration)
	end()
	return got, errors.Join(err, beside.Wait())
}

// each does something over and over, with a pause before it, until the context ends.
func each(ctx context.Context, pause time.Duration, do func() error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := do(); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (in *installation) storeEvents(ctx context.Context) error {
	path := "/v2/users/" + fleet.ImportedUser(0) + "/passkeyEvents"
	return each(ctx, eventPause, func() error {
		return fleet.Post(in.Address, path, map[string]any{"eventType": "local-unlock"}, nil)
	})
}

func (in *installation) changePolicy(ctx context.Context) error {
	before, err := in.revision()
	if err != nil {
		return err
	}
	err = each(ctx, policyPause, func() error {
		in.changes++
		file, err := os.OpenFile(filepath.Join(in.policies, "login", "login.rego"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("change the policy: %w", err)
		}
		_, err = fmt.Fprintf(file, "\n# change %d\n", in.changes)
		return errors.Join(err, file.Close())
	})
	after, failed := in.revision()
	if after != before {
		in.loaded++
	}
	return errors.Join(err, failed)
}

// revision is that of the policy that answers.
func (in *installation) revision() (string, error) {
	families, err := fleet.Metrics(in.Admin)
	if err != nil {
		return "", err
	}
	for _, metric := range families["keyward_policy_info"].GetMetric() {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "revision" {
				return label.GetValue(), nil
			}
		}
	}
	return "", errors.New("the metrics tell no revision of the policy")
}

func (in *installation) export(ctx context.Context) error {
	return each(ctx, time.Millisecond, func() error {
		out := filepath.Join(in.Dir, "export.jsonl")
		args := []string{"user", "export", "--data-dir", in.data, "--project", fleet.Project, "--out", out}
		if said, err := exec.CommandContext(ctx, in.Settings.Keyward, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("export: %w: %s", err, said)
		}
		return os.Remove(out)
	})
}

// tellNobody has an endpoint where nobody listens.
func (in *installation) tellNobody(ctx context.Context) error {
	var made struct{ ID string }
	hook := map[string]any{"url": "http://" + fleet.FreeAddress() + "/", "subscribedEvents": []string{"local-unlock"}}
	if err := fleet.Post(in.Address, "/v2/webhookEndpoints", hook, &made); err != nil {
		return err
	}
	<-ctx.Done()
	families, err := fleet.Metrics(in.Admin)
	if err != nil {
		return err
	}
	for _, metric := range families["keyward_webhook_attempts_total"].GetMetric() {
		in.tried += int(metric.GetCounter().GetValue())
	}
	return fleet.Delete(in.Address, "/v2/webhookEndpoints/"+made.ID)
}

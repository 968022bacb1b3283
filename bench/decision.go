package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// compareDecisions measures login start beside the OPA server, then what policies, histories and the memo do to it, then how often the
// memo knows the answer.
func (f bench) compareDecisions(ctx context.Context) error {
	if err := f.besideOPA(ctx); err != nil {
		return err
	}
	if err := f.Stop(); err != nil {
		return err
	}
	if err := f.besideItself(ctx); err != nil {
		return err
	}
	if err := f.Stop(); err != nil || f.Population == 0 {
		return err
	}
	return f.replayDemo(ctx)
}

func (f bench) besideOPA(ctx context.Context) error {
	contenders, err := f.All(ctx, f.Bare, f.BareRedis, f.opaServer, f.OneProcess, f.Embedded)
	if err != nil {
		return err
	}
	const bare, opa = 0, 2
	for _, connections := range []int{1, 16, 32} {
		results, err := f.Measure(ctx, contenders, connections)
		if err != nil {
			return err
		}
		fmt.Printf(
			"POST %s, %d users with %d passkeys and %d events each; OPA: the same policy on the same facts; %d connections, median of %d rounds "+
				"of %s\n\n",
			fleet.Path, fleet.Usual.Users, fleet.Passkeys, fleet.Usual.Events, connections, f.Settings.Rounds, f.Duration,
		)
		t := fleet.NewTable("calls/s", "of bare", "of OPA", "p50 ms", "p99 ms", "p99 of OPA", "memory MiB")
		for i, c := range contenders {
			r := results[i]
			t.Row(c.Name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/results[bare].Rate(), "%.2f", r.Rate()/results[opa].Rate(),
				"%.2f", r.P50(), "%.2f", r.P99(), "%.2f", r.P99()/results[opa].P99(), "%.0f", r.Memory())
		}
		if err := t.Print(); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// besideItself measures one Keyward beside others: without memo, with ten times the rules, with ten times the events.
func (f bench) besideItself(ctx context.Context) error {
	const factor = 10
	more, err := f.inflatedBundle(factor)
	if err != nil {
		return err
	}
	contenders, err := f.All(ctx, f.OneProcess,
		func(ctx context.Context) (*fleet.Contender, error) {
			return f.WithRedis(ctx, "memo off", fleet.Usual, "KEYWARD_POLICY_MEMO=0")
		},
		func(ctx context.Context) (*fleet.Contender, error) {
			return f.WithRedis(ctx, "10 times the rules", fleet.Usual, "KEYWARD_POLICIES="+more)
		},
		func(ctx context.Context) (*fleet.Contender, error) {
			return f.WithRedis(ctx, "10 times the rules, memo off", fleet.Usual, "KEYWARD_POLICIES="+more, "KEYWARD_POLICY_MEMO=0")
		},
		func(ctx context.Context) (*fleet.Contender, error) {
			return f.WithRedis(ctx, "200 events a user", fleet.Crowd{Users: fleet.Usual.Users, Events: factor * fleet.Usual.Events})
		},
	)
	if err != nil {
		return err
	}
	results, err := f.Measure(ctx, contenders, f.Connections)
	if err != nil {
		return err
	}
	fmt.Printf("The same beside itself, %d connections\n\n", f.Connections)
	t := fleet.NewTable("calls/s", "of the first", "p50 ms", "p99 ms")
	for i, c := range contenders {
		r := results[i]
		t.Row(c.Name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/results[0].Rate(), "%.2f", r.P50(), "%.2f", r.P99())
	}
	if err := t.Print(); err != nil {
		return err
	}
	fmt.Println()
	return nil
}

// opaServer serves the bundle by itself. It is asked about the facts of a login start as Keyward recorded them.
func (f bench) opaServer(ctx context.Context) (*fleet.Contender, error) {
	facts, err := f.recordedFacts(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := f.inflatedBundle(1)
	if err != nil {
		return nil, err
	}
	address := fleet.FreeAddress()
	began := time.Now()
	cmd, err := f.Launch(nil, f.Opa, "run", "--server", "--addr", address, "--log-level", "error", "--bundle", bundle)
	if err != nil {
		return nil, err
	}
	if err := fleet.Answering(ctx, "http://"+address+"/health?bundles"); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"input": facts})
	if err != nil {
		return nil, fmt.Errorf("encode facts: %w", err)
	}
	req := new(fasthttp.Request)
	req.Header.SetMethod(http.MethodPost)
	req.SetRequestURI("http://" + address + "/v1/data/keyward/login/decision")
	req.Header.SetContentType("application/json")
	req.SetBody(body)
	c := &fleet.Contender{Name: "OPA server", Ready: time.Since(began), Processes: []*exec.Cmd{cmd}, Requests: []*fasthttp.Request{req}}
	return c, decides(req)
}

// decides makes sure that OPA answers with a decision: it answers 200 to a question that it has no rule for, too.
func decides(req *fasthttp.Request) error {
	var rsp fasthttp.Response
	if err := fasthttp.Do(req, &rsp); err != nil {
		return fmt.Errorf("ask OPA: %w", err)
	}
	var answer struct {
		Result struct {
			Rule string `json:"rule"`
		} `json:"result"`
	}
	if err := json.Unmarshal(rsp.Body(), &answer); err != nil {
		return fmt.Errorf("ask OPA: %w", err)
	}
	if !strings.HasPrefix(answer.Result.Rule, "L") {
		return fmt.Errorf("ask OPA: no decision in %s", rsp.Body())
	}
	return nil
}

// recordedFacts lets a Keyward judge a login start and returns the facts in its record.
func (f bench) recordedFacts(ctx context.Context) (json.RawMessage, error) {
	url, err := f.Nats(ctx, "facts")
	if err != nil {
		return nil, err
	}
	redis, err := f.Redis(ctx)
	if err != nil {
		return nil, err
	}
	c := &fleet.Contender{Name: "facts"}
	address := fleet.FreeAddress()
	ready, err := f.Keyward(c, address, "all", []string{"KEYWARD_NATS_URL=" + url, "KEYWARD_REDIS_URL=" + redis})
	if err != nil {
		return nil, err
	}
	if err := fleet.Answering(ctx, ready); err != nil {
		return nil, err
	}
	if _, err := f.Populate(c, address, fleet.Crowd{Users: 1, Events: fleet.Usual.Events}); err != nil {
		return nil, err
	}
	if err := fasthttp.Do(c.Requests[0], new(fasthttp.Response)); err != nil {
		return nil, fmt.Errorf("start a login: %w", err)
	}
	return lastLogin(ctx, url)
}

func lastLogin(ctx context.Context, url string) (json.RawMessage, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("connect to JetStream: %w", err)
	}
	var record struct {
		Facts json.RawMessage `json:"facts"`
	}
	err = fleet.Wait(ctx, "the decision stream", func() bool {
		stream, err := js.Stream(ctx, "PASSKEY_DECISIONS")
		if err != nil {
			return false
		}
		msg, err := stream.GetLastMsgForSubject(ctx, "passkey.decisions.*.*.login")
		return err == nil && json.Unmarshal(msg.Data, &record) == nil
	})
	if err == nil && len(record.Facts) == 0 {
		err = errors.New("the record holds no facts")
	}
	return record.Facts, err
}

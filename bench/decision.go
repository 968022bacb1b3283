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
)

// compareDecisions measures login start beside the OPA server, then what policies, histories and the memo do to it, then how often the memo knows the answer.
func (f *fleet) compareDecisions(ctx context.Context) error {
	if err := f.besideOPA(ctx); err != nil {
		return err
	}
	if err := f.stop(); err != nil {
		return err
	}
	if err := f.besideItself(ctx); err != nil {
		return err
	}
	if err := f.stop(); err != nil || f.population == 0 {
		return err
	}
	return f.replayDemo(ctx)
}

func (f *fleet) besideOPA(ctx context.Context) error {
	contenders, err := f.all(ctx, f.bare, f.bareRedis, f.opaServer, f.oneProcess, f.embedded)
	if err != nil {
		return err
	}
	const bare, opa = 0, 2
	for _, connections := range []int{1, 16, 32} {
		results, err := f.measure(ctx, contenders, connections)
		if err != nil {
			return err
		}
		fmt.Printf("POST %s, %d users with %d passkeys and %d events each; OPA: the same policy on the same facts; %d connections, median of %d rounds of %s\n\n",
			path, usual.users, passkeys, usual.events, connections, f.settings.rounds, f.duration)
		t := newTable("calls/s", "of bare", "of OPA", "p50 ms", "p99 ms", "p99 of OPA", "memory MiB")
		for i, c := range contenders {
			r := results[i]
			t.row(c.name, "%.0f", r.rate(), "%.0f %%", 100*r.rate()/results[bare].rate(), "%.2f", r.rate()/results[opa].rate(),
				"%.2f", r.p50(), "%.2f", r.p99(), "%.2f", r.p99()/results[opa].p99(), "%.0f", r.memory())
		}
		if err := t.print(); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// besideItself measures one Keyward beside others: without memo, with ten times the rules, with ten times the events.
func (f *fleet) besideItself(ctx context.Context) error {
	const factor = 10
	more, err := f.inflatedBundle(factor)
	if err != nil {
		return err
	}
	contenders, err := f.all(ctx, f.oneProcess,
		func(ctx context.Context) (*contender, error) {
			return f.withRedis(ctx, "memo off", usual, "KEYWARD_POLICY_MEMO=0")
		},
		func(ctx context.Context) (*contender, error) {
			return f.withRedis(ctx, "10 times the rules", usual, "KEYWARD_POLICIES="+more)
		},
		func(ctx context.Context) (*contender, error) {
			return f.withRedis(ctx, "10 times the rules, memo off", usual, "KEYWARD_POLICIES="+more, "KEYWARD_POLICY_MEMO=0")
		},
		func(ctx context.Context) (*contender, error) {
			return f.withRedis(ctx, "200 events a user", crowd{users: usual.users, events: factor * usual.events})
		},
	)
	if err != nil {
		return err
	}
	results, err := f.measure(ctx, contenders, f.connections)
	if err != nil {
		return err
	}
	fmt.Printf("The same beside itself, %d connections\n\n", f.connections)
	t := newTable("calls/s", "of the first", "p50 ms", "p99 ms")
	for i, c := range contenders {
		r := results[i]
		t.row(c.name, "%.0f", r.rate(), "%.0f %%", 100*r.rate()/results[0].rate(), "%.2f", r.p50(), "%.2f", r.p99())
	}
	if err := t.print(); err != nil {
		return err
	}
	fmt.Println()
	return nil
}

// opaServer serves the bundle by itself. It is asked about the facts of a login start as Keyward recorded them.
func (f *fleet) opaServer(ctx context.Context) (*contender, error) {
	facts, err := f.recordedFacts(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := f.inflatedBundle(1)
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	began := time.Now()
	cmd, err := f.launch(nil, f.opa, "run", "--server", "--addr", address, "--log-level", "error", "--bundle", bundle)
	if err != nil {
		return nil, err
	}
	if err := answering(ctx, "http://"+address+"/health?bundles"); err != nil {
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
	c := &contender{name: "OPA server", ready: time.Since(began), processes: []*exec.Cmd{cmd}, requests: []*fasthttp.Request{req}}
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
func (f *fleet) recordedFacts(ctx context.Context) (json.RawMessage, error) {
	url, err := f.nats(ctx, "facts")
	if err != nil {
		return nil, err
	}
	redis, err := f.redis(ctx)
	if err != nil {
		return nil, err
	}
	c := &contender{name: "facts"}
	address := freeAddress()
	ready, err := f.keyward(c, address, "all", []string{"KEYWARD_NATS_URL=" + url, "KEYWARD_REDIS_URL=" + redis})
	if err != nil {
		return nil, err
	}
	if err := answering(ctx, ready); err != nil {
		return nil, err
	}
	if _, err := f.populate(c, address, crowd{users: 1, events: usual.events}); err != nil {
		return nil, err
	}
	if err := fasthttp.Do(c.requests[0], new(fasthttp.Response)); err != nil {
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
	err = wait(ctx, "the decision stream", func() bool {
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

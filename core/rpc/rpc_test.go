package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/rpc"
)

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Text      string          `json:"text"`
	RequestID ident.RequestID `json:"requestID"`
	Key       string          `json:"key"`
	Seed      ident.Seed      `json:"seed"`
	HasLimit  bool            `json:"hasLimit"`
}

func serve(t *testing.T, opts rpc.Options, do func(context.Context, question) (answer, error)) *rpc.Client {
	t.Helper()
	return rpc.NewClient(serveOn(t, opts, do), "oracle", rpc.Within(5*time.Second))
}

// serveOn serves an oracle with one method, ask, and returns the connection to call it by.
func serveOn(t *testing.T, opts rpc.Options, do func(context.Context, question) (answer, error)) *nats.Conn {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	opts.Version = "0.0.1"
	server, err := rpc.Serve(b.Conn, rpc.Service{Name: "oracle", Methods: []rpc.Method{rpc.Bind("ask", do)}}, opts, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b.Conn
}

func ask(ctx context.Context, c *rpc.Client) (answer, error) {
	return rpc.Call[answer](ctx, c, "ask", question{Text: "why"})
}

func TestACallCarriesRequestIDCallersKeySeedAndDeadline(t *testing.T) {
	t.Parallel()
	client := serve(t, rpc.Options{}, func(ctx context.Context, q question) (answer, error) {
		_, limited := ctx.Deadline()
		return answer{
			Text: q.Text + "?", RequestID: reqctx.RequestID(ctx), Key: reqctx.CallerKey(ctx), Seed: reqctx.Seed(ctx), HasLimit: limited,
		}, nil
	})
	got, err := ask(reqctx.WithCallerKey(reqctx.WithSeed(reqctx.WithRequestID(t.Context(), "req-1"), "seed"), "key-1"), client)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer{Text: "why?", RequestID: "req-1", Key: "key-1", Seed: "seed", HasLimit: true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFaultArrivesAsWhatItWas(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want *fault.Fault
	}{
		"a field at fault": {fault.Field("userID", "does not exist"), fault.Unknown("userID")},
		"a fault with a cause": {
			fault.Unavailable(2*time.Second, "away").Because(errors.New("secret")), fault.Unavailable(2*time.Second, "away"),
		},
		"an error of the server": {errors.New("secret"), fault.Internal(nil)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, rpc.Options{}, func(context.Context, question) (answer, error) { return answer{}, c.err })
			_, err := ask(t.Context(), client)
			if diff := cmp.Diff(c.want, fault.As(err), cmpopts.IgnoreUnexported(fault.Fault{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACallToNobodyIsUnavailable(t *testing.T) {
	t.Parallel()
	client := serve(t, rpc.Options{}, func(context.Context, question) (answer, error) { return answer{}, nil })
	_, err := rpc.Call[answer](t.Context(), client, "nothing", question{})
	if f := fault.As(err); f.Status != http.StatusServiceUnavailable || f.RetryAfter == 0 {
		t.Errorf("got %+v", f)
	}
}

// TestACallThatAVersionDoesNotKnowIsToldFromOneThatIsLate has callers that were replaced before whom they call.
func TestACallThatAVersionDoesNotKnowIsToldFromOneThatIsLate(t *testing.T) {
	t.Parallel()
	client := serve(t, rpc.Options{}, func(_ context.Context, q question) (answer, error) { return answer{Text: q.Text}, nil })
	for range 2 {
		if _, err := rpc.Call[answer](t.Context(), client, "foretell", question{}); !errors.Is(err, fault.ErrNobody) {
			t.Errorf("of a method that there is not: %v", err)
		}
		if _, err := ask(t.Context(), client); err != nil {
			t.Errorf("of one that there is, afterwards: %v", err)
		}
	}
}

func TestTheServiceStopsWorkingWhenTheCallerHasGivenUp(t *testing.T) {
	t.Parallel()
	stopped := make(chan error, 1)
	client := serve(t, rpc.Options{}, func(ctx context.Context, _ question) (answer, error) {
		<-ctx.Done()
		stopped <- ctx.Err()
		return answer{}, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, client); fault.As(err).Status != http.StatusServiceUnavailable {
		t.Errorf("caller: got %v", err)
	}
	if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("service: got %v", err)
	}
}

func TestCallsBeyondTheBoundAreShed(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	client := serve(t, rpc.Options{Concurrency: 1}, func(context.Context, question) (answer, error) {
		close(entered)
		<-release
		return answer{}, nil
	})
	first := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), client)
		first <- err
	}()
	<-entered
	if _, err := ask(t.Context(), client); fault.As(err).Status != http.StatusServiceUnavailable {
		t.Errorf("second call: got %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("first call: %v", err)
	}
}

func TestAPanicIsAnErrorOfOneCall(t *testing.T) {
	t.Parallel()
	client := serve(t, rpc.Options{}, func(context.Context, question) (answer, error) { panic("no") })
	for range 2 {
		if _, err := ask(t.Context(), client); fault.As(err).Status != http.StatusInternalServerError {
			t.Errorf("got %v", err)
		}
	}
}

func TestManyFaultsAtOnceArriveEach(t *testing.T) {
	t.Parallel()
	client := serve(
		t, rpc.Options{Concurrency: 4000},
		func(context.Context, question) (answer, error) { return answer{}, fault.Unknown("userID") },
	)
	var all sync.WaitGroup
	for range 2000 {
		all.Go(func() {
			if _, err := ask(t.Context(), client); !cmp.Equal(fault.Unknown("userID"), fault.As(err), cmpopts.IgnoreUnexported(fault.Fault{})) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
}

func TestRollingRestartsLoseNoCall(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	answers := rpc.Service{Name: "oracle", Methods: []rpc.Method{rpc.Bind("ask", func(ctx context.Context, q question) (answer, error) {
		return answer{Text: q.Text}, ctx.Err()
	})}}
	start := func() *rpc.Server {
		server, err := rpc.Serve(b.Conn, answers, rpc.Options{Version: "0.0.1"}, log)
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	old := start()
	restarted := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		client := rpc.NewClient(b.Conn, "oracle", rpc.Within(time.Minute))
		callers.Go(func() {
			for {
				select {
				case <-restarted:
					return
				default:
				}
				if _, err := ask(t.Context(), client); err != nil {
					t.Errorf("a call was lost: %v", err)
					return
				}
			}
		})
	}
	for range 100 {
		next := start()
		if err := old.Close(t.Context()); err != nil {
			t.Error(err)
		}
		old = next
	}
	close(restarted)
	callers.Wait()
	if err := old.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhoeverCallsOnceAServiceIsStartedIsAnswered(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.Addr = t.TempDir(), "127.0.0.1:0"
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	url, err := bus.ServerURL(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *nats.Conn {
		conn, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	answers := rpc.Service{Name: "oracle", Methods: []rpc.Method{rpc.Bind("ask", func(_ context.Context, q question) (answer, error) {
		return answer{Text: q.Text}, nil
	})}}
	there, elsewhere := connect(), rpc.NewClient(connect(), "oracle", rpc.Within(time.Minute))
	for range 200 {
		server, err := rpc.Serve(there, answers, rpc.Options{Version: "0.0.1"}, log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t.Context(), elsewhere); err != nil {
			t.Errorf("got %v", err)
		}
		if err := server.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// What a service answers is published by a user who may publish answers. Whoever asks must not be able to have it published as something
// else.
func TestACallWhoseAnswerWouldNotGoToAnInboxIsNotTaken(t *testing.T) {
	t.Parallel()
	var taken atomic.Int64
	conn := serveOn(t, rpc.Options{}, func(_ context.Context, q question) (answer, error) {
		taken.Add(1)
		return answer{Text: q.Text}, nil
	})
	for _, reply := range []string{
		"passkey.events.pro-1.usr-1.login-error", "$KV.accounts.pro-1.usr-1", "$JS.API.STREAM.PURGE.KV_accounts", "keyward.oracle.tell",
		"_INBOXES.a",
	} {
		if err := conn.PublishRequest("keyward.oracle.ask", reply, []byte(`{"text":"trick"}`)); err != nil {
			t.Fatal(err)
		}
	}
	// It comes after them.
	if _, err := conn.Request("keyward.oracle.ask", []byte(`{"text":"why"}`), time.Minute); err != nil {
		t.Fatal(err)
	}
	if n := taken.Load(); n != 1 {
		t.Errorf("%d calls were taken", n)
	}
}

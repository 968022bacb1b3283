package test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/sdk/subscribe"
)

// arrivals are what one receiver got, each event at its first arrival.
type arrivals struct {
	name    string
	ordered bool // per user

	mu       sync.Mutex
	users    map[string][]string // user: event IDs
	seen     map[string]bool     // event IDs
	reports  map[string]string   // process of the report: event ID
	repeats  int
	mistakes []string
}

func newArrivals(name string, ordered bool) *arrivals {
	return &arrivals{name: name, ordered: ordered, users: map[string][]string{}, seen: map[string]bool{}, reports: map[string]string{}}
}

// took notes an event. Of what was reported once, every arrival must have one and the same ID.
func (a *arrivals) took(user, id, process string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.reports[process]; process != "" && known != "" && known != id {
		a.mistakes = append(a.mistakes, fmt.Sprintf("what was reported as %s came as %s and as %s", process, known, id))
	}
	a.reports[process] = id
	if a.seen[id] {
		a.repeats++
		return
	}
	a.seen[id] = true
	a.users[user] = append(a.users[user], id)
}

// missing returns how many of the acknowledged events have not arrived.
func (a *arrivals) missing(acknowledged map[string][]string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing := 0
	for _, ids := range acknowledged {
		for _, id := range ids {
			if !a.seen[id] {
				missing++
			}
		}
	}
	return missing
}

// check fails the test for what was lost, changed or out of order.
func (a *arrivals) check(t *testing.T, acknowledged map[string][]string) {
	t.Helper()
	if missing := a.missing(acknowledged); missing > 0 {
		t.Errorf("%s: %d acknowledged events have not arrived", a.name, missing)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, mistake := range a.mistakes {
		t.Errorf("%s: %s", a.name, mistake)
	}
	for user, want := range acknowledged {
		if !a.ordered {
			break
		}
		got := slices.DeleteFunc(slices.Clone(a.users[user]), func(id string) bool { return !slices.Contains(want, id) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: the events of %s came in another order than they were acknowledged in:\n%v\n%v", a.name, user, got, want)
		}
	}
	t.Logf("%s: %d events, %d of them repeated", a.name, len(a.seen), a.repeats)
}

// chaos is a Keyward that is killed over and over, and who writes to it and reads from it.
type chaos struct {
	current      atomic.Pointer[process] // what runs now
	webhook      *arrivals
	sse          *arrivals
	consumer     *arrivals
	stream       *arrivals // by plain NATS
	mu           sync.Mutex
	acknowledged map[string][]string // user: event IDs, in order
	count        atomic.Int64        // of acknowledged events
}

// kills is how often the process is killed: a few times among the other tests, many times with make chaos.
func kills(t *testing.T) int {
	t.Helper()
	text := cmp.Or(os.Getenv("CHAOS_KILLS"), "5")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CHAOS_KILLS: %q", text)
	}
	return n
}

func TestEveryAcknowledgedEventReachesEverySubscriberHoweverOftenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	const writers, usersEach, leastBetween = 8, 3, 40
	c := &chaos{
		webhook: newArrivals(
			"webhook", true,
		),
		sse:          newArrivals("server-sent events", true),
		consumer:     newArrivals("durable consumer in order of users", true),
		stream:       newArrivals("plain NATS consumer", false),
		acknowledged: map[string][]string{},
	}
	binary, dataDir := build(t), t.TempDir()
	settings := []string{
		"KEYWARD_NATS_ADDR=127.0.0.1:" + strconv.Itoa(loopbacktest.Port(t)),
		"KEYWARD_WEBHOOKS_ALLOW_HTTP=true", "KEYWARD_WEBHOOKS_ALLOW_PRIVATE=true",
		"KEYWARD_WEBHOOKS_RETRY_MIN=50ms", "KEYWARD_RATE_LIMIT_PROJECT=1000000/1s", "KEYWARD_RATE_LIMIT_ADDRESS=1000000/1s",
	}
	start := func() { c.current.Store(run(t, binary, dataDir, settings...)) }
	start()

	receiver := httptest.NewServer(http.HandlerFunc(c.receive))
	t.Cleanup(receiver.Close)
	as[rest.WebhookEndpoint](
		t,
		c.current.Load().call(t, "POST", "/v2/webhookEndpoints", map[string]any{"url": receiver.URL, "subscribedEvents": []string{"*"}}),
	)
	users := make([][]string, writers)
	for w := range users {
		for range usersEach {
			users[w] = append(users[w], as[rest.User](t, c.current.Load().call(t, "POST", "/v2/users", map[string]any{"status": "active"})).UserID)
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	var subscribers, writing sync.WaitGroup
	t.Cleanup(func() { stop(); subscribers.Wait() })
	c.attach(ctx, t, dataDir, &subscribers)
	writes, noMore := context.WithCancel(ctx)
	t.Cleanup(func() { noMore(); writing.Wait() })
	for w, mine := range users {
		writing.Go(func() { c.write(writes, w, mine) })
	}
	for range kills(t) {
		enough := c.count.Load() + leastBetween + rand.Int64N(2*leastBetween)
		eventually(t, "no events were acknowledged", func() bool { return c.count.Load() >= enough })
		c.current.Load().kill()
		start()
	}
	enough := c.count.Load() + leastBetween
	eventually(t, "no events were acknowledged after the last start", func() bool { return c.count.Load() >= enough })
	noMore()
	writing.Wait()

	all := []*arrivals{c.webhook, c.sse, c.consumer, c.stream}
	t.Cleanup(func() {
		for _, a := range all {
			a.check(t, c.acknowledged)
		}
	})
	within(t, 4*patience, "not every acknowledged event has arrived", func() bool {
		return !slices.ContainsFunc(all, func(a *arrivals) bool { return a.missing(c.acknowledged) > 0 })
	})
	t.Logf("%d events were acknowledged over %d kills", c.count.Load(), kills(t))
}

// write reports events of one user after the other until ctx ends. Nobody else reports events of these users, so that the order is known.
func (c *chaos) write(ctx context.Context, writer int, users []string) {
	for n := 0; ctx.Err() == nil; n++ {
		user := users[n%len(users)]
		process := fmt.Sprintf("w%d-%d", writer, n)
		a, err := c.current.Load().
			do("POST", "/v2/users/"+user+"/passkeyEvents", map[string]any{"eventType": "local-unlock", "processID": process})
		var created rest.PasskeyEvent
		if err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &created) != nil {
			continue // it may be stored or not: the process was killed
		}
		c.mu.Lock()
		c.acknowledged[user] = append(c.acknowledged[user], created.PasskeyEventID)
		c.mu.Unlock()
		c.count.Add(1)
	}
}

// receive is the webhook's endpoint. Now and then it fails.
func (c *chaos) receive(w http.ResponseWriter, r *http.Request) {
	var delivery struct {
		Data struct {
			UserID    string `json:"userID"`
			EventID   string `json:"eventID"`
			ProcessID string `json:"processID"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&delivery); err != nil || rand.IntN(50) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c.webhook.took(delivery.Data.UserID, delivery.Data.EventID, delivery.Data.ProcessID)
}

// attach connects the subscribers. All of them see what is appended from now on.
func (c *chaos) attach(ctx context.Context, t *testing.T, dataDir string, running *sync.WaitGroup) {
	t.Helper()
	since := strconv.FormatInt(time.Now().UnixMilli(), 10)
	running.Go(func() { c.follow(ctx, since) })

	address, err := bus.ServerURL(dataDir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	subscriber, err := subscribe.Open(ctx, js, subscribe.Config{Name: "chaos-ordered", Order: subscribe.PerUser})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := js.CreateConsumer(ctx, bus.EventsStream, jetstream.ConsumerConfig{
		Durable:       "chaos-plain",
		FilterSubject: bus.EventsPrefix + "." + project1 + ".>",
		DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			err := subscriber.Run(ctx, func(_ context.Context, e subscribe.Event) error {
				c.consumer.took(string(e.User), string(e.ID), e.Process)
				return nil
			})
			if err != nil && ctx.Err() == nil {
				t.Logf("the subscriber goes on after %v", err)
			}
		}
	})
	reading.Go(func() { c.fetch(ctx, plain) })
	running.Go(func() {
		reading.Wait()
		conn.Close()
	})
}

// fetch takes messages as a program without Keyward's package does.
func (c *chaos) fetch(ctx context.Context, consumer jetstream.Consumer) {
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(100, jetstream.FetchMaxWait(500*time.Millisecond))
		if err != nil {
			pause(ctx)
			continue
		}
		for msg := range batch.Messages() {
			var body struct {
				Process string `json:"process"`
			}
			if err := json.Unmarshal(msg.Data(), &body); err != nil {
				continue // it comes again, and never arrives
			}
			c.stream.took(msg.Headers().Get("ce-subject"), msg.Headers().Get("ce-id"), body.Process)
			_ = msg.Ack()
		}
	}
}

// pause waits for a moment before something is tried again.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// follow reads the stream of server-sent events, and goes on after the last one that it saw when the connection is lost.
func (c *chaos) follow(ctx context.Context, since string) {
	last := ""
	for ctx.Err() == nil {
		if err := c.followOnce(ctx, since, &last); err != nil {
			pause(ctx)
		}
	}
}

func (c *chaos) followOnce(ctx context.Context, since string, last *string) error {
	p := c.current.Load()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/v2/events/stream?since="+since, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(p.project, p.secret)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", rsp.StatusCode)
	}
	var id, data string
	for lines := bufio.NewScanner(rsp.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "data":
			data = value
		case "": // the event is complete
			if data == "" {
				continue
			}
			var e struct{ ID, User, Process string }
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return err
			}
			c.sse.took(e.User, e.ID, e.Process)
			*last, data = id, ""
		}
	}
	return errors.New("the connection was lost")
}

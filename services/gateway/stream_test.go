package gateway_test

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
)

const patience = time.Minute

// streaming is a gateway with a real stream of events behind it.
type streaming struct {
	t       *testing.T
	bus     *bus.Bus
	gateway *gateway.Gateway
	base    string
	metrics *prometheus.Registry
	log     *safeBuffer
	stop    func()
}

func serveStreams(t *testing.T, cfg gateway.Config) *streaming {
	t.Helper()
	settings := bus.DefaultConfig()
	settings.DataDir, settings.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return serveStreamsOn(t, b, cfg)
}

func serveStreamsOn(t *testing.T, b *bus.Bus, cfg gateway.Config) *streaming {
	t.Helper()
	f, err := feed.Open(t.Context(), b.JS, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &streaming{t: t, bus: b, metrics: prometheus.NewRegistry(), log: &safeBuffer{}}
	cfg.Addr, cfg.GRPCAddr = "127.0.0.1:0", gateway.Off
	services := newServices()
	s.gateway, err = gateway.New(cfg, gateway.Deps{
		Ceremony: servicetest.Ceremony{
			Recording: services,
		},
		Events:      servicetest.Events{Recording: services},
		Projects:    newTenants(),
		Issuers:     newTenants(),
		Feed:        f,
		Webhooks:    struct{ service.Webhooks }{},
		Idempotency: struct{ gateway.Idempotency }{}, // nobody calls them here
		Log:         slog.New(slog.NewJSONHandler(s.log, nil)),
		Metrics:     s.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gateway.Listen(); err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + s.gateway.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	running.Go(func() {
		if err := s.gateway.Run(ctx); err != nil {
			t.Errorf("run ended with %v", err)
		}
	})
	s.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// publish appends an event to the stream and returns its position and body.
func (s *streaming) publish(project, user string, kind event.Type) (uint64, string) {
	s.t.Helper()
	id := ident.NewEventID()
	body, err := json.Marshal(event.Event{ID: id, Project: ident.ProjectID(project), User: ident.UserID(user), Type: kind, CreatedMs: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	ack, err := s.bus.JS.Publish(s.t.Context(), bus.EventsPrefix+"."+project+"."+user+"."+string(kind), body, jetstream.WithMsgID(string(id)))
	if err != nil {
		s.t.Fatal(err)
	}
	return ack.Sequence, string(body)
}

// open counts the streams that are open.
func (s *streaming) open() int {
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "keyward_sse_streams" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	s.t.Fatal("streams are not counted")
	return 0
}

func (s *streaming) await(complaint string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatal(complaint)
		}
	}
}

// received is one event as a client of server-sent events sees it.
type received struct {
	ID, Event, Data string
}

// reader reads a stream as the HTML standard, section 9.2.6, says; it keeps comments, too.
type reader struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	comments []string
	retry    string
	close    func()
}

// follow opens a stream and waits for its first comment, so that what is published afterwards must come.
func (s *streaming) follow(query string, headers map[string]string) *reader {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v2/events/stream"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("pro-1", secretA)
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	transport := &http.Transport{}
	rsp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &reader{t: s.t, response: rsp, lines: bufio.NewScanner(rsp.Body)}
	r.lines.Buffer(nil, 2<<20)
	r.close = sync.OnceFunc(func() {
		cancel()
		_ = rsp.Body.Close()
		transport.CloseIdleConnections()
	})
	s.t.Cleanup(r.close)
	if rsp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(rsp.Body)
		s.t.Fatalf("status %d: %s", rsp.StatusCode, body)
	}
	for len(r.comments) == 0 || r.retry == "" {
		if !r.line(&received{}) {
			s.t.Fatal("the stream ended at once")
		}
	}
	return r
}

// line reads one line into an event; it reports false at the end of the stream.
func (r *reader) line(into *received) bool {
	if !r.lines.Scan() {
		return false
	}
	text := r.lines.Text()
	if comment, ok := strings.CutPrefix(text, ":"); ok {
		r.comments = append(r.comments, strings.TrimSpace(comment))
		return true
	}
	field, value, _ := strings.Cut(text, ": ")
	switch field {
	case "id":
		into.ID = value
	case "event":
		into.Event = value
	case "retry":
		r.retry = value
	case "data":
		if into.Data != "" {
			into.Data += "\n"
		}
		into.Data += value
	}
	return true
}

// next returns the next n events.
func (r *reader) next(n int) []received {
	r.t.Helper()
	var all []received
	for len(all) < n {
		var e received
		for e.Data == "" || r.lines.Text() != "" {
			if !r.line(&e) {
				r.t.Fatalf("the stream ended after %d of %d events: %v", len(all), n, r.lines.Err())
			}
		}
		all = append(all, e)
	}
	return all
}

func sent(sequence uint64, kind event.Type, body string) received {
	return received{ID: positionOf(sequence), Event: string(kind), Data: body}
}

// positionOf is how a project without a salt is told of a position. Clients keep them, so they stay what they are.
func positionOf(sequence uint64) string {
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte("positions in the stream of events"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err)
	}
	var told [aes.BlockSize]byte
	binary.BigEndian.PutUint64(told[:], sequence)
	block.Encrypt(told[:], told[:])
	return base64.RawURLEncoding.EncodeToString(told[:])
}

func TestAClientReceivesItsProjectsEventsAsTheyAreAppended(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	all := s.follow("", map[string]string{"Origin": originA, "X-Request-ID": "req-77"})
	some := s.follow("?type=login-error&type=event-deleted&userID=usr-2", nil)
	if header := all.response.Header; header.Get("Content-Type") != "text/event-stream" || header.Get("Cache-Control") != "no-store" ||
		header.Get("X-Request-ID") != "req-77" ||
		header.Get("Access-Control-Allow-Origin") != originA ||
		header.Get("Date") == "" {
		t.Errorf("header %v", header)
	}
	first, firstBody := s.publish("pro-1", "usr-1", event.LoginError)
	if diff := cmp.Diff([]received{sent(first, event.LoginError, firstBody)}, all.next(1)); diff != "" {
		t.Error(diff)
	}
	s.publish("pro-2", "usr-2", event.LoginError)
	second, secondBody := s.publish("pro-1", "usr-2", event.LoginError)
	third, thirdBody := s.publish("pro-1", "usr-2", event.LoginCompleted)
	fourth, fourthBody := s.publish("pro-1", "usr-2", event.Deleted)
	if diff := cmp.Diff([]received{
		sent(second, event.LoginError, secondBody), sent(third, event.LoginCompleted, thirdBody), sent(fourth, event.Deleted, fourthBody),
	}, all.next(3)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(
		[]received{sent(second, event.LoginError, secondBody), sent(fourth, event.Deleted, fourthBody)}, some.next(2),
	); diff != "" {
		t.Error(diff)
	}
}

func TestAClientGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	var want []received
	for range 5 {
		sequence, body := s.publish("pro-1", "usr-1", event.LoginError)
		want = append(want, sent(sequence, event.LoginError, body))
	}
	stream, err := s.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	third, err := stream.GetMsg(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		query  string
		header map[string]string
		want   []received
	}{
		"after the second":         {"", map[string]string{"Last-Event-ID": want[1].ID}, want[2:]},
		"an empty ID is none":      {"?since=0", map[string]string{"Last-Event-ID": ""}, want},
		"from the beginning":       {"", map[string]string{"Last-Event-ID": "0"}, want},
		"since a time in RFC 3339": {"?since=" + url.QueryEscape(third.Time.Format(time.RFC3339Nano)), nil, want[2:]},
		"since a time with an offset": {
			"?since=" + url.QueryEscape(third.Time.In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)), nil, want[2:],
		},
		"since 1970 in Unix ms":               {"?since=0", nil, want},
		"since long ago in Unix ms":           {"?since=-62135596800001", nil, want},
		"the last ID outweighs since":         {"?since=0", map[string]string{"Last-Event-ID": want[3].ID}, want[4:]},
		"after the first, with a filter more": {"?type=login-error", map[string]string{"Last-Event-ID": want[0].ID}, want[1:]},
	} {
		r := s.follow(c.query, c.header)
		if diff := cmp.Diff(c.want, r.next(len(c.want))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		r.close()
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(4)); err != nil {
		t.Fatal(err)
	}
	r := s.follow("", map[string]string{"Last-Event-ID": "1"})
	if diff := cmp.Diff(want[3:], r.next(2)); diff != "" {
		t.Errorf("after what is no longer kept: %s", diff)
	}
	if diff := cmp.Diff([]string{"events before " + positionOf(4) + " are no longer kept"}, r.comments); diff != "" {
		t.Error(diff)
	}
}

// Plain numbers are those of all projects: by what is answered to guesses one could count what the others do.
func TestAPlainPositionThatNobodyWasToldDoesNotTellWhatOtherProjectsDo(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	s.publish("pro-2", "usr-2", event.LoginError)
	sequence, body := s.publish("pro-1", "usr-1", event.LoginError)
	for _, position := range []string{"0", "1", "2", "3", "1000000"} {
		r := s.follow("", map[string]string{"Last-Event-ID": position})
		if diff := cmp.Diff([]received{sent(sequence, event.LoginError, body)}, r.next(1)); diff != "" {
			t.Errorf("after %s: %s", position, diff)
		}
		r.close()
	}
}

func TestAPlainPositionThatAnEarlierVersionToldIsTaken(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	earlier := serveStreamsOn(t, b, gateway.Config{})
	earlier.publish("pro-1", "usr-1", event.LoginError)
	earlier.publish("pro-1", "usr-1", event.LoginError)
	stream, err := b.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Metadata = map[string]string{bus.PositionsTold: "2"}
	if _, err := b.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	later := serveStreamsOn(t, b, gateway.Config{})
	third, thirdBody := later.publish("pro-1", "usr-1", event.LoginError)
	fourth, fourthBody := later.publish("pro-1", "usr-1", event.LoginError)
	for position, want := range map[string][]received{
		"2": {sent(third, event.LoginError, thirdBody), sent(fourth, event.LoginError, fourthBody)},
		"3": {sent(third, event.LoginError, thirdBody), sent(fourth, event.LoginError, fourthBody)}, // told to nobody as a number
	} {
		r := later.follow("", map[string]string{"Last-Event-ID": position})
		if diff := cmp.Diff(want, r.next(2)); diff != "" {
			t.Errorf("after %s: %s", position, diff)
		}
		r.close()
	}
}

func TestAStreamThatIsAskedForBadlyIsRefused(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	s.publish("pro-1", "usr-1", event.LoginError)
	for name, c := range map[string]struct {
		query  string
		header map[string]string
		field  string
	}{
		"an unknown type":                {"?type=no-such-type", nil, "type"},
		"a type that is kept elsewhere":  {"?type=login-error&type=login-offered", nil, "type"},
		"a type with a wildcard":         {"?type=*", nil, "type"},
		"something that is no user ID":   {"?userID=ada", nil, "userID"},
		"a time that is none":            {"?since=yesterday", nil, "since"},
		"a time in the future":           {"?since=" + fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), nil, "since"},
		"a time beyond all numbers":      {"?since=99999999999999999999", nil, "since"},
		"an ID that is no number":        {"", map[string]string{"Last-Event-ID": "x"}, "Last-Event-ID"},
		"an ID beyond the end":           {"", map[string]string{"Last-Event-ID": positionOf(2)}, "Last-Event-ID"},
		"an ID of another project":       {"", map[string]string{"Last-Event-ID": strings.Repeat("A", 22)}, "Last-Event-ID"},
		"an ID beyond all numbers":       {"", map[string]string{"Last-Event-ID": "99999999999999999999"}, "Last-Event-ID"},
		"a query that cannot be decoded": {"?type=%zz", nil, "query"},
	} {
		status, e := s.refused(c.query, c.header)
		if status != http.StatusBadRequest || e.Error.Type != rest.ErrorTypeValidationError || e.Error.Validation == nil ||
			(*e.Error.Validation)[0].Field != c.field {
			t.Errorf("%s: %d %+v", name, status, e.Error)
		}
	}
	for name, c := range map[string]struct {
		header map[string]string
		status int
	}{
		"without a credential":    {map[string]string{"Authorization": "Basic eDp5"}, http.StatusUnauthorized},
		"from another page":       {map[string]string{"Origin": originB}, http.StatusForbidden},
		"naming another project":  {map[string]string{"X-Corbado-ProjectID": "pro-2"}, http.StatusForbidden},
		"with the wrong password": {map[string]string{"Authorization": "Basic cHJvLTE6eA=="}, http.StatusUnauthorized},
	} {
		if status, e := s.refused("", c.header); status != c.status {
			t.Errorf("%s: %d %+v", name, status, e.Error)
		}
	}
	if n := s.open(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

// refused asks for a stream that is not given.
func (s *streaming) refused(query string, headers map[string]string) (int, rest.ErrorRsp) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v2/events/stream"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("pro-1", secretA)
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	var e rest.ErrorRsp
	if rsp.StatusCode == http.StatusOK {
		return rsp.StatusCode, e
	}
	if err := json.NewDecoder(rsp.Body).Decode(&e); err != nil {
		s.t.Fatal(err)
	}
	return rsp.StatusCode, e
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	settings := bus.DefaultConfig()
	settings.DataDir, settings.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestStreamsEndAtOnceWhenTheGatewayStops(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	first := serveStreamsOn(t, b, gateway.Config{Grace: patience})
	r := first.follow("", nil)
	stalled := first.dial("GET /v2/events/stream HTTP/1.1")
	defer func() { _ = stalled.Close() }()
	sequence, body := first.publish("pro-1", "usr-1", event.LoginError)
	if diff := cmp.Diff([]received{sent(sequence, event.LoginError, body)}, r.next(1)); diff != "" {
		t.Error(diff)
	}
	began := time.Now()
	first.stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopping took %s", took)
	}
	rest, err := io.ReadAll(r.response.Body)
	if err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("the stream did not end as an answer ends: %q, %v", rest, err)
	}

	missed, missedBody := first.publish("pro-1", "usr-1", event.LoginCompleted)
	second := serveStreamsOn(t, b, gateway.Config{})
	again := second.follow("", map[string]string{"Last-Event-ID": positionOf(sequence)})
	if diff := cmp.Diff([]received{sent(missed, event.LoginCompleted, missedBody)}, again.next(1)); diff != "" {
		t.Error(diff)
	}
}

func TestAClientOfHTTP10GetsAStreamThatEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	conn := s.dial("GET /v2/events/stream HTTP/1.0")
	defer func() { _ = conn.Close() }()
	s.await("the stream did not open", func() bool { return s.open() == 1 })
	sequence, body := s.publish("pro-1", "usr-1", event.LoginError)
	rsp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rsp.Header.Get("Transfer-Encoding") != "" || len(rsp.TransferEncoding) > 0 {
		t.Errorf("an old client got chunks: %v", rsp.TransferEncoding)
	}
	r := &reader{t: t, response: rsp, lines: bufio.NewScanner(rsp.Body)}
	if diff := cmp.Diff([]received{sent(sequence, event.LoginError, body)}, r.next(1)); diff != "" {
		t.Error(diff)
	}
}

func TestTheHeadOfAStreamCanBeAskedForAlone(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	req, err := http.NewRequest(http.MethodHead, s.base+"/v2/events/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("pro-1", secretA)
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK || rsp.Header.Get("Content-Type") != "text/event-stream" || s.open() != 0 {
		t.Errorf("status %d, header %v, %d open", rsp.StatusCode, rsp.Header, s.open())
	}
}

func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{})
	r := s.follow("", nil)
	s.publish("pro-1", "usr-1", event.LoginError)
	s.publish("pro-1", "usr-1", event.LoginError)
	r.next(2)
	s.await("two events are not counted", func() bool {
		return testutil.CollectAndCompare(
			s.metrics,
			strings.NewReader(
				"# HELP keyward_sse_events_total Events sent to clients of the event stream.\n# TYPE keyward_sse_events_total "+
					"counter\nkeyward_sse_events_total 2\n",
			),
			"keyward_sse_events_total",
		) == nil
	})
	r.close()
	s.await("the end of a stream is not logged", func() bool {
		return strings.Contains(string(s.log.bytes()), `"reason":"the client has gone","events":2`)
	})
}

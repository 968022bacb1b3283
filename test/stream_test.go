package test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
)

// streamed is an event as a client of GET /v2/events/stream gets it.
type streamed struct {
	id    string
	event event.Event
}

// streamReader reads server-sent events.
type streamReader struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// followEvents opens a stream and returns when it has begun.
func (c client) followEvents(t *testing.T, query, lastID string) *streamReader {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v2/events/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(c.project, c.secret)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rsp.Body.Close() })
	if rsp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(rsp.Body)
		t.Fatalf("status %d: %s", rsp.StatusCode, body)
	}
	r := &streamReader{t: t, lines: bufio.NewScanner(rsp.Body), close: cancel}
	for r.lines.Scan() && !strings.HasPrefix(r.lines.Text(), "retry:") {
	}
	return r
}

func (r *streamReader) next() streamed {
	r.t.Helper()
	var s streamed
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "id":
			s.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &s.event); err != nil {
				r.t.Fatal(err)
			}
			return s
		}
	}
	r.t.Fatalf("the stream ended: %v", r.lines.Err())
	return s
}

func TestABackendWithoutNATSFollowsEventsOverHTTPWhicheverProcessItAsks(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			p := st.newPerson(t)
			var readers []*streamReader
			for _, gateway := range st.gateways() {
				readers = append(readers, gateway.followEvents(t, "?userID="+p.id, ""))
			}
			sent := p.postEvent(t, map[string]any{"eventType": "login-error"})
			as[rest.GenericRsp](t, p.call(t, http.MethodDelete, "/v2/users/"+p.id+"/passkeyEvents/"+sent.PasskeyEventID, nil))
			as[rest.GenericRsp](t, p.call(t, http.MethodDelete, "/v2/users/"+p.id, nil))
			for _, r := range readers {
				first := r.next()
				if first.event.Type == event.UserCreated { // it follows the answer that a user was created, and may come after the stream has begun
					first = r.next()
				}
				second, last := r.next(), r.next()
				if string(first.event.ID) != sent.PasskeyEventID || second.event.Type != event.Deleted || second.event.Deletes != first.event.ID ||
					last.event.Type != event.UserDeleted {
					t.Errorf("got %+v, %+v, %+v", first, second, last)
				}
				// Who comes too late finds what is not erased.
				again := st.gateways()[0].followEvents(t, "?userID="+p.id, first.id)
				if diff := cmp.Diff(last, again.next(), cmp.AllowUnexported(streamed{})); diff != "" {
					t.Errorf("after the erasure: %s", diff)
				}
				again.close()
				r.close()
			}
		})
	}
}

package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/fault"
)

func keyed(key string) map[string]string { return map[string]string{"Idempotency-Key": key} }

// creations are the operations that take a key: those that create something.
func creations(s *server) (ids []string) {
	for _, op := range s.document.Operations {
		if op.TakesHeader("Idempotency-Key") {
			ids = append(ids, op.ID)
		}
	}
	return ids
}

func TestEveryCreationTakesAKeyAndAnswersItsRepeatAlike(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: generous()})
	all := creations(s)
	for _, op := range s.document.Operations {
		if strings.HasPrefix(op.ID, "create") && op.ID != "createShortSession" && !op.TakesHeader("Idempotency-Key") {
			t.Errorf("%s creates something and takes no key", op.ID)
		}
	}
	if len(all) != 10 {
		t.Errorf("keys are taken by %v", all)
	}
	for _, id := range all {
		t.Run(id, func(t *testing.T) {
			request, before := goodCall(t, good, s.document.Operation(id)), len(s.services.Calls())
			first := s.call("POST", request.path, request.body, keyed("key-of-"+id))
			again := s.call("POST", request.path, request.body, with(keyed("key-of-"+id), "X-Request-ID", "sent-again"))
			if first.status != 200 || again.status != 200 || !bytes.Equal(first.body, again.body) ||
				first.header.Get("Content-Type") != again.header.Get("Content-Type") {
				t.Errorf("first %d %s\nagain %d %s", first.status, first.body, again.status, again.body)
			}
			if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" ||
				again.header.Get("X-Request-ID") != "sent-again" {
				t.Errorf("first %v\nagain %v", first.header, again.header)
			}
			checkHeaders(t, s.document.Operation(id), again)
			other := strings.Replace(request.body, "{", `{"more":1,`, 1)
			if id == "createWebhookSecret" {
				other = `{"more":1}`
			}
			a := s.call("POST", request.path, other, keyed("key-of-"+id))
			if a.status != 422 || a.error.Error.Type != "validation_error" || a.fields()["Idempotency-Key"] == "" ||
				a.header.Get("Retry-After") != "" {
				t.Errorf("another body: %d %s", a.status, a.body)
			}
			calls := s.services.Calls()[before:]
			if len(calls) != 1 || calls[0].Seed == "" {
				t.Errorf("the services saw %+v", calls)
			}
		})
	}
}

func TestKeysOfBadFormAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for name, key := range map[string]string{
		"a space":        "a b",
		"a tab":          "a\tb",
		"256 characters": strings.Repeat("k", 256),
		"no ASCII":       "schlüssel",
	} {
		a := s.call("POST", "/v2/users", good["createUser"].body, keyed(key))
		if a.status != 400 ||
			a.fields()["Idempotency-Key"] != "must be 1 to 255 visible ASCII characters" &&
				a.fields()["Idempotency-Key"] != "must be at most 255 characters" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	head := "POST /v2/users HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\nContent-Length: 19\r\n" +
		"Authorization: " + basic("pro-1", secretA)["Authorization"] + "\r\n"
	for name, lines := range map[string]string{"an empty one": "Idempotency-Key:\r\n", "two": "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"} {
		if a := s.bytes(head + lines + "\r\n" + `{"status":"active"}`); a.status != 400 || a.fields()["Idempotency-Key"] == "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
	for name, key := range map[string]string{"255 characters": strings.Repeat("k", 255), "every sign": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"} {
		if a := s.call("POST", "/v2/users", good["createUser"].body, keyed(key)); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestWhereNothingIsCreatedAKeyMeansNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for range 2 {
		if a := s.call(
			"PATCH", "/v2/users/usr-1", good["updateUser"].body, keyed("k"),
		); a.status != 200 ||
			a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("got %d %v", a.status, a.header)
		}
	}
	if calls := s.services.Calls(); len(calls) != 2 || calls[0].Seed != "" {
		t.Errorf("the services saw %+v", calls)
	}
}

func TestAKeyBelongsToItsProject(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.call("POST", "/v2/users", good["createUser"].body, keyed("k"))
	if a := s.call(
		"POST",
		"/v2/users",
		`{"status":"pending"}`,
		with(basic("pro-2", secretB), "Idempotency-Key", "k"),
	); a.status != 200 ||
		a.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestAfterAFailureTheCallIsExecutedAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		err      func(context.Context, string) error
		status   int
		sameSeed bool // the failure may have changed something
	}{
		{"that changed nothing", always(fault.Conflict("explicitWebauthnID", "is taken")), 409, false},
		{"of unknown outcome", always(fault.Unavailable(0, "the log is away")), 503, true},
		{"of the server", always(errors.New("broken")), 500, true},
		{"by a panic", func(context.Context, string) error { panic("boom") }, 500, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, setup{})
			s.services.Before(tc.err)
			if a := s.call("POST", "/v2/users", good["createUser"].body, keyed("k")); a.status != tc.status {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			s.services.Before(nil)
			if a := s.call("POST", "/v2/users", good["createUser"].body, keyed("k")); a.status != 200 || a.header.Get("Idempotent-Replayed") != "" {
				t.Errorf("again: %d %s", a.status, a.body)
			}
			calls := s.services.Calls()
			if len(calls) != 2 || calls[0].Seed == "" || calls[1].Seed == "" || (calls[0].Seed == calls[1].Seed) != tc.sameSeed {
				t.Errorf("the services saw %+v", calls)
			}
		})
	}
	t.Run("of the body", func(t *testing.T) {
		s := serve(t, setup{})
		if a := s.call("POST", "/v2/users", `{"status":"asleep"}`, keyed("k")); a.status != 400 || a.fields()["status"] == "" {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		if a := s.call("POST", "/v2/users", `{"status":"active"}`, keyed("k")); a.status != 200 {
			t.Errorf("mended: %d %s", a.status, a.body)
		}
	})
}

func TestOfManyCallsAtOnceWithOneKeyOneIsExecuted(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.services.Before(func(context.Context, string) error { close(entered); <-leave; return nil })
	var group sync.WaitGroup
	group.Go(func() {
		if a := s.call("POST", "/v2/users", good["createUser"].body, keyed("k")); a.status != 200 {
			t.Errorf("the first: %d %s", a.status, a.body)
		}
	})
	<-entered
	for range 20 {
		group.Go(func() {
			if a := s.call(
				"POST", "/v2/users", good["createUser"].body, keyed("k"),
			); a.status != 409 || a.header.Get("Retry-After") != "1" ||
				a.fields()["Idempotency-Key"] == "" {
				t.Errorf("while it is under way: %d %s", a.status, a.body)
			}
		})
	}
	s.eventually(func() bool { return len(s.logLines()) >= 20 }, "the refusals")
	close(leave)
	group.Wait()
	if a := s.call("POST", "/v2/users", good["createUser"].body, keyed("k")); a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	if calls := s.services.Calls(); len(calls) != 1 {
		t.Errorf("%d were executed", len(calls))
	}
}

func TestAnotherPathWithTheKeyIsAnotherRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	body := good["createPasskeyEvent"].body
	s.call("POST", "/v2/users/usr-1/passkeyEvents", body, keyed("k"))
	var got []int
	for _, user := range []string{"usr-1", "usr-2"} {
		got = append(got, s.call("POST", fmt.Sprintf("/v2/users/%s/passkeyEvents", user), body, keyed("k")).status)
	}
	if diff := cmp.Diff([]int{200, 422}, got); diff != "" {
		t.Error(diff)
	}
}

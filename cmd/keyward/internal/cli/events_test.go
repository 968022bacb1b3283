package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/telemetry"
)

const patience = 30 * time.Second

// natsServer runs what the server keeps events in, on a directory; stop ends it.
func natsServer(t *testing.T, dir string) (log *eventlog.Log, stop func()) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.Addr, cfg.SyncInterval = dir, "127.0.0.1:0", time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(b.Close)
	t.Cleanup(stop)
	if log, err = eventlog.NewLog(t.Context(), b.JS); err != nil {
		t.Fatal(err)
	}
	return log, stop
}

func appendEvents(t *testing.T, log *eventlog.Log, events ...event.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// told are events of two projects and users.
func told() []event.Event {
	at := func(n int, e event.Event) event.Event {
		e.ID, e.CreatedMs = ident.EventID(fmt.Sprintf("pke-%d", n)), time.Date(2026, 11, 22, 12, 0, n, 0, time.UTC).UnixMilli()
		return e
	}
	return []event.Event{
		at(
			1,
			event.Event{
				Project: "pro-1", User: "usr-1", Type: event.LoginCompleted, Route: event.Local, Credential: "cre-1",
				Environment: "env-1", Process: "p-1",
			},
		),
		at(2, event.Event{Project: "pro-2", User: "usr-1", Type: event.AppendError, Kind: event.KindDefault, Process: "a\x1b[31m b"}),
		at(3, event.Event{Project: "pro-1", User: "usr-2", Type: event.Deleted, Deletes: "pke-1"}),
		at(
			4,
			event.Event{
				Project: "pro-1", User: "usr-2", Type: event.AuthLogin,
				Auth: &event.Auth{Username: "ada", Method: "password", Status: "success"},
			},
		),
	}
}

var toldLines = []string{
	"2026-11-22T12:00:01.000Z  pro-1  usr-1  login-completed           pke-1  route=local  credential=cre-1  environment=env-1  process=p-1",
	`2026-11-22T12:00:02.000Z  pro-2  usr-1  append-error              pke-2  kind=default  process="a\x1b[31m b"`,
	"2026-11-22T12:00:03.000Z  pro-1  usr-2  event-deleted             pke-3  deletes=pke-1",
	"2026-11-22T12:00:04.000Z  pro-1  usr-2  auth-login                pke-4  method=password  status=success",
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func TestReplayPrintsWhatIsKeptAndEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, _ := natsServer(t, dir)
	if r := run(t, nil, "events", "replay", "--data-dir", dir); r.code != cli.ExitOK || r.out != "" {
		t.Errorf("before the first event: %+v", r)
	}
	appendEvents(t, log, told()...)
	for name, c := range map[string]struct {
		flags []string
		want  []int
	}{
		"everything":        {nil, []int{0, 1, 2, 3}},
		"of one project":    {[]string{"--project", "pro-1"}, []int{0, 2, 3}},
		"of one user":       {[]string{"--user", "usr-1"}, []int{0, 1}},
		"of two types":      {[]string{"--type", "auth-login", "--type", "append-error,auth-login"}, []int{1, 3}},
		"of all three":      {[]string{"--project", "pro-1", "--user", "usr-2", "--type", "event-deleted"}, []int{2}},
		"of nobody":         {[]string{"--user", "usr-9"}, nil},
		"since an hour ago": {[]string{"--since", "1h"}, []int{0, 1, 2, 3}},
		"since now":         {[]string{"--since", "0s"}, nil},
		"since 2020":        {[]string{"--since", "2020-01-01T00:00:00Z"}, []int{0, 1, 2, 3}},
	} {
		r := run(t, nil, append([]string{"events", "replay", "--data-dir", dir}, c.flags...)...)
		var want []string
		for _, i := range c.want {
			want = append(want, toldLines[i])
		}
		if diff := cmp.Diff(want, lines(r.out)); diff != "" || r.code != cli.ExitOK || r.err != "" {
			t.Errorf("%s: %d %s %s", name, r.code, r.err, diff)
		}
	}
	r := run(t, nil, "events", "replay", "--data-dir", dir, "--type", "event-deleted", "--json")
	want := `{"id":"pke-3","project":"pro-1","user":"usr-2","type":"event-deleted","createdMs":1795348803000,"deletes":"pke-1"}` + "\n"
	if r.out != want {
		t.Errorf("JSON: %s", r.out)
	}
}

func TestFlagsThatCannotWorkAreRefusedBeforeAnythingIsTried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags []string
		says  string
	}{
		"no project":         {[]string{"--project", "x"}, "--project: must be of the form pro-<number>"},
		"no user":            {[]string{"--user", "usr-"}, "--user: must be of the form usr-<number>"},
		"no type":            {[]string{"--type", "login-*"}, `--type: "login-*" is no type of event`},
		"on another stream":  {[]string{"--type", "login-offered"}, "--type: login-offered is kept on another stream"},
		"no time":            {[]string{"--since", "yesterday"}, "--since: must be a duration"},
		"a time to come":     {[]string{"--since", "2999-01-01T00:00:00Z"}, "--since: must be a duration"},
		"a negative time":    {[]string{"--since", "-1h"}, "--since: must be a duration"},
		"an argument":        {[]string{"all"}, `unknown argument "all"`},
		"a flag without use": {[]string{"--follow"}, "unknown flag"},
	} {
		for _, command := range []string{"tail", "replay"} {
			r := run(t, nil, append([]string{"events", command, "--data-dir", t.TempDir()}, c.flags...)...)
			if r.code != cli.ExitUsage || !strings.Contains(r.err, c.says) {
				t.Errorf("%s, %s: %+v", command, name, r)
			}
		}
	}
	for _, command := range []string{"tail", "replay"} {
		if r := run(
			t, nil, "events", command, "--data-dir", t.TempDir(),
		); r.code != cli.ExitFailure ||
			!strings.Contains(r.err, "keyward serve") {
			t.Errorf("%s without a server: %+v", command, r)
		}
	}
}

// screen is what a command that runs prints.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestTailPrintsWhatComesAcrossARestartOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, stop := natsServer(t, dir)
	events := told()
	appendEvents(t, log, events[0])
	ctx, interrupt := context.WithCancel(t.Context())
	var outs, errs [2]screen
	codes := [2]int{-1, -1}
	var running sync.WaitGroup
	for i, flags := range [][]string{nil, {"--since", "1h"}} {
		running.Go(func() {
			terminal := command.Terminal{In: strings.NewReader(""), Out: &outs[i], Err: &errs[i]}
			codes[i] = cli.Run(ctx, append([]string{"events", "tail", "--data-dir", dir}, flags...), terminal, telemetry.Build{})
		})
	}
	await := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(patience); !holds(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %q, %q", what, outs[0].String(), outs[1].String())
			}
		}
	}
	await("what was before did not come", func() bool { return len(lines(outs[1].String())) == 1 })
	// The one that begins now tells by its first event that it has begun.
	n := 100
	await("nothing comes", func() bool {
		n++
		appendEvents(
			t, log,
			event.Event{ID: ident.EventID(fmt.Sprintf("pke-%d", n)), Project: "pro-9", User: "usr-9", Type: event.LoginError, CreatedMs: 1},
		)
		return outs[0].String() != ""
	})
	appendEvents(t, log, events[1])
	await("the second event did not come", func() bool {
		return strings.Contains(outs[0].String(), toldLines[1]) && strings.Contains(outs[1].String(), toldLines[1])
	})
	stop()
	log, _ = natsServer(t, dir)
	appendEvents(t, log, events[2], events[3])
	await("events after the restart did not come", func() bool {
		return strings.Contains(outs[0].String(), toldLines[3]) && strings.Contains(outs[1].String(), toldLines[3])
	})
	interrupt()
	running.Wait()
	for i := range outs {
		if codes[i] != cli.ExitOK || strings.Count(errs[i].String(), "is waited for") != 1 {
			t.Errorf("code %d, errors %q", codes[i], errs[i].String())
		}
		var mine []string
		for _, line := range lines(outs[i].String()) {
			if !strings.Contains(line, "pro-9") {
				mine = append(mine, line)
			}
		}
		if diff := cmp.Diff(toldLines[1-i:], mine); diff != "" {
			t.Error(diff)
		}
	}
}

package userapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

const testProject = ident.ProjectID("pro-7")

// registrations keeps what it was asked, and does as it is told.
type registrations struct {
	mu    sync.Mutex // guards calls
	calls []any

	fail  error                 // what every call fails with
	panic any                   // what every call panics with
	wait  func(context.Context) // called before a call is answered
	list  []service.Passkey
	code  *service.PasskeyCode
}

func (r *registrations) record(ctx context.Context, q any) error {
	r.mu.Lock()
	r.calls = append(r.calls, q)
	r.mu.Unlock()
	if r.wait != nil {
		r.wait(ctx)
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return errors.Join(r.fail)
}

func (r *registrations) taken() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.calls
	r.calls = nil
	return taken
}

// change is what every call has changed: 2026-01-02T03:04:05.678Z, of a thing a second older.
func change() service.Change {
	return service.Change{ChangedMs: 1_767_323_045_678, CreatedMs: 1_767_323_044_678}
}

const testOptions = `{"publicKey":{"challenge":"AQID","excludeCredentials":[],"rp":{"id":"a.example","name":"A"},"timeout":300000,` +
	`"user":{"id":"dXNyLTE"}}}`

func (r *registrations) RegisterPasskey(
	ctx context.Context, q service.ForUser[service.PasskeyRegistration],
) (service.PendingPasskey, error) {
	if err := r.record(ctx, q); err != nil {
		return service.PendingPasskey{}, err
	}
	return service.PendingPasskey{Change: change(), ID: "cre-9", Options: []byte(testOptions), Decided: service.Decided{
		Decision: "dec-1", PolicyRevision: "rev-a",
	}}, nil
}

func (r *registrations) VerifyPasskey(ctx context.Context, q service.ForUser[service.PasskeyVerification]) (service.Change, error) {
	return change(), r.record(ctx, q)
}

func (r *registrations) CreatePasskeyCode(
	ctx context.Context, q service.ForUser[service.PasskeyCodeRequest],
) (service.PasskeyCodeCreated, error) {
	return service.PasskeyCodeCreated{Change: change(), Code: r.code}, r.record(ctx, q)
}

func (r *registrations) ListPasskeys(ctx context.Context, q service.ForUser[service.Empty]) (service.PasskeyList, error) {
	if err := r.record(ctx, q); err != nil {
		return service.PasskeyList{}, err
	}
	return service.PasskeyList{Passkeys: r.list, ChangedMs: int64(len(r.list)) * 1000}, nil
}

func (r *registrations) RemovePasskey(ctx context.Context, q service.ForUser[ident.CredentialID]) (service.Change, error) {
	return change(), r.record(ctx, q)
}

// The tokens of the tests, and whose they are.
func admit(r *http.Request) (userapi.Caller, error) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	name, permissions, _ := strings.Cut(token, "+")
	c := userapi.Caller{Project: testProject, Permissions: strings.Fields(strings.ReplaceAll(permissions, ",", " "))}
	switch {
	case token == "":
		return userapi.Caller{}, fault.Login("auth header missing")
	case name == "all":
		c.Permissions = []string{project.AllPermissions}
	case name == "service":
	case name == "busy":
		return userapi.Caller{}, (&fault.Fault{Status: 429, Details: "too many calls", RetryAfter: 1500 * time.Millisecond}).Named("PROJECT-Busy")
	case name == "panic":
		panic("admission fell over")
	case strings.HasPrefix(name, "usr-"):
		c.User = ident.UserID(name)
	default:
		return userapi.Caller{}, fault.Login("the token is not valid")
	}
	return c, nil
}

type userDeps = userapi.Deps

// server is the user service on a port, over HTTP/1.1 and HTTP/2 without TLS.
type server struct {
	*httptest.Server
	t        testing.TB
	api      *userapi.API
	recorded *registrations
	log      *syncBuffer
	plain    *http.Client // HTTP/1.1
	h2       *http.Client

	mu       sync.Mutex // guards outcomes
	outcomes []userapi.Outcome
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const testMaxBytes = 1_200_000

func serve(t testing.TB, change func(*userapi.Deps)) *server {
	t.Helper()
	s := &server{t: t, recorded: &registrations{code: &service.PasskeyCode{ID: "cha-1", Code: "secret"}}, log: &syncBuffer{}}
	deps := userapi.Deps{
		Registrations: s.recorded,
		Admit:         admit,
		MaxBytes:      testMaxBytes,
		Timeout:       20 * time.Second,
		Log:           slog.New(slog.NewTextHandler(s.log, nil)),
		Observe: func(_ context.Context, o userapi.Outcome) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.outcomes = append(s.outcomes, o)
		},
	}
	if change != nil {
		change(&deps)
	}
	var err error
	if s.api, err = userapi.New(deps); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s.api.GRPCHandler())
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	plain, h2 := &http.Transport{}, &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	s.plain, s.h2 = &http.Client{Transport: plain}, &http.Client{Transport: h2}
	t.Cleanup(func() {
		plain.CloseIdleConnections()
		h2.CloseIdleConnections()
		s.Close()
	})
	return s
}

// observed returns the outcomes so far, once there are n, and forgets them. An outcome is told when the answer has been sent already.
func (s *server) observed(n int) []userapi.Outcome {
	s.t.Helper()
	for range 2000 {
		s.mu.Lock()
		outcomes := s.outcomes
		if len(outcomes) >= n {
			s.outcomes = nil
		}
		s.mu.Unlock()
		if len(outcomes) >= n {
			return outcomes
		}
		<-time.After(time.Millisecond)
	}
	s.t.Fatalf("%d outcomes never came", n)
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/keyward/keyward/bench/internal/fleet"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

const (
	registrationsARound = 3000
	registrars          = 32 // concurrent callers
)

// verification is a registration that waits for its second call.
type verification struct {
	request *userv2.VerifyPasskeyRegistrationRequest
	body    []byte // the same as JSON
}

// compareRegistrations measures VerifyPasskeyRegistration over gRPC and JSON beside go-webauthn's own verification of such answers on all
// cores.
func (f bench) compareRegistrations(ctx context.Context) error {
	floor, err := f.bareVerification(ctx)
	if err != nil {
		return err
	}
	fmt.Printf(
		"VerifyPasskeyRegistration, %d callers, median of %d rounds of %d registrations of as many users, load generator on the same cores\n\n",
		registrars, f.Rounds, registrationsARound,
	)
	t := fleet.NewTable("calls/s", "of verification", "p50 ms", "p99 ms")
	t.Row("go-webauthn alone, every core", "%.0f", floor, "%.0f %%", 100.0, "%.2f", 0.0, "%.2f", 0.0)
	for _, shape := range []struct{ name, sync string }{{"every write on disk", "always"}, {"flushed every 2 s", "2s"}} {
		results, err := f.registrationsOf(ctx, shape.sync)
		if err != nil {
			return err
		}
		for _, protocol := range []string{"gRPC", "JSON"} {
			r := results[protocol]
			t.Row(protocol+", "+shape.name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/floor, "%.2f", r.P50(), "%.2f", r.P99())
		}
	}
	return t.Print()
}

// registrationsOf measures one Keyward over both protocols in turn.
func (f bench) registrationsOf(ctx context.Context, sync string) (map[string]fleet.Rounds, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	c, address, grpc := &fleet.Contender{}, fleet.FreeAddress(), fleet.FreeAddress()
	ready, err := f.Keyward(c, address, "all", []string{
		"KEYWARD_DATA_DIR=" + data, "KEYWARD_NATS_ADDR=off", "KEYWARD_GRPC_ADDR=" + grpc, "KEYWARD_SYNC_INTERVAL=" + sync,
		"KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROCESSES=off", "KEYWARD_RATE_LIMIT_SIGN_UPS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
	})
	if err != nil {
		return nil, err
	}
	if err := fleet.Answering(ctx, ready); err != nil {
		return nil, err
	}
	r := newRegistrar(address, grpc)
	defer r.http.CloseIdleConnections()
	results := map[string]fleet.Rounds{}
	for round := range f.Rounds + 1 {
		for name, verify := range map[string]func(context.Context, verification) error{"gRPC": r.overGRPC, "JSON": r.overJSON} {
			pending, err := r.prepare(ctx)
			if err != nil {
				return nil, fmt.Errorf("prepare: %w", err)
			}
			got, err := fleet.EachOnce(ctx, registrars, pending, verify)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if round > 0 {
				results[name] = append(results[name], got)
			}
		}
	}
	return results, f.Stop()
}

// registrar calls the user service of one Keyward.
type registrar struct {
	address string
	http    *http.Client
	grpc    userv2connect.UserServiceClient
}

func newRegistrar(address, grpc string) *registrar {
	plain := &http.Transport{MaxIdleConnsPerHost: registrars}
	h2c := &http.Transport{Protocols: &http.Protocols{}}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	return &registrar{
		address: address, http: &http.Client{Transport: plain},
		grpc: userv2connect.NewUserServiceClient(&http.Client{Transport: h2c}, "http://"+grpc, connect.WithGRPC()),
	}
}

func authorize(header http.Header) {
	request := http.Request{Header: header}
	request.SetBasicAuth(fleet.Project, fleet.Secret)
}

// prepare registers a passkey for as many users as a round has, up to the second call.
func (r *registrar) prepare(ctx context.Context) ([]verification, error) {
	pending := make([]verification, registrationsARound)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(registrars)
	for i := range pending {
		work.Go(func() (err error) {
			pending[i], err = r.register(ctx)
			return err
		})
	}
	return pending, work.Wait()
}

func (r *registrar) register(ctx context.Context) (verification, error) {
	var user struct {
		ID string `json:"userID"`
	}
	if err := fleet.Post(r.address, "/v2/users", map[string]string{"status": "active"}, &user); err != nil {
		return verification{}, err
	}
	header := http.Header{}
	authorize(header)
	call, info := connect.NewClientContext(ctx)
	for name, values := range header {
		info.RequestHeader()[name] = values
	}
	begun, err := r.grpc.RegisterPasskey(call, &userv2.RegisterPasskeyRequest{UserId: user.ID})
	if err != nil {
		return verification{}, err
	}
	options, err := begun.GetPublicKeyCredentialCreationOptions().MarshalJSON()
	if err != nil {
		return verification{}, err
	}
	credential, err := authenticator.Phone().Create(string(options), fleet.Origin)
	if err != nil {
		return verification{}, err
	}
	request := &userv2.VerifyPasskeyRegistrationRequest{
		UserId: user.ID, PasskeyId: begun.GetPasskeyId(), PasskeyName: "Phone", PublicKeyCredential: &structpb.Struct{},
	}
	if err := request.GetPublicKeyCredential().UnmarshalJSON([]byte(credential)); err != nil {
		return verification{}, err
	}
	body, err := protojson.Marshal(
		&userv2.VerifyPasskeyRegistrationRequest{PublicKeyCredential: request.GetPublicKeyCredential(), PasskeyName: "Phone"},
	)
	return verification{request: request, body: body}, err
}

func (r *registrar) overGRPC(ctx context.Context, v verification) error {
	call, info := connect.NewClientContext(ctx)
	authorize(info.RequestHeader())
	_, err := r.grpc.VerifyPasskeyRegistration(call, v.request)
	return err
}

func (r *registrar) overJSON(ctx context.Context, v verification) error {
	url := "http://" + r.address + "/v2/users/" + v.request.GetUserId() + "/passkeys/" + v.request.GetPasskeyId()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(v.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	authorize(request.Header)
	answer, err := r.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d: %s", answer.StatusCode, said)
	}
	return err
}

// someone is a user of the library.
type someone struct{}

func (someone) WebAuthnID() []byte                         { return []byte("usr-1234567890") }
func (someone) WebAuthnName() string                       { return "ada@example.com" }
func (someone) WebAuthnDisplayName() string                { return "Ada" }
func (someone) WebAuthnCredentials() []webauthn.Credential { return nil }

// bareVerification returns how many answers a second go-webauthn parses and verifies on all cores, and does nothing else with.
func (f bench) bareVerification(ctx context.Context) (float64, error) {
	web, err := webauthn.New(&webauthn.Config{RPID: "localhost", RPDisplayName: "bench", RPOrigins: []string{fleet.Origin}})
	if err != nil {
		return 0, err
	}
	options, session, err := web.BeginRegistration(someone{})
	if err != nil {
		return 0, err
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return 0, err
	}
	credential, err := authenticator.Phone().Create(string(raw), fleet.Origin)
	if err != nil {
		return 0, err
	}
	rates := make([]float64, f.Rounds)
	for i := range rates {
		began := time.Now()
		var done atomic.Int64
		work, _ := errgroup.WithContext(ctx)
		for range 2 * registrars {
			work.Go(func() error {
				for time.Since(began) < time.Second {
					parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(credential))
					if err != nil {
						return err
					}
					if _, err := web.CreateCredential(someone{}, *session, parsed); err != nil {
						return err
					}
					done.Add(1)
				}
				return nil
			})
		}
		if err := work.Wait(); err != nil {
			return 0, errors.Join(errors.New("verify"), err)
		}
		rates[i] = float64(done.Load()) / time.Since(began).Seconds()
	}
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}

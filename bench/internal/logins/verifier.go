package logins

import (
	"context"
	"encoding/json"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// someone is a user of the library, with one passkey.
type someone struct{ passkeys []webauthn.Credential }

func (someone) WebAuthnID() []byte                           { return []byte("usr-1234567890") }
func (someone) WebAuthnName() string                         { return "ada@example.com" }
func (someone) WebAuthnDisplayName() string                  { return "Ada" }
func (s someone) WebAuthnCredentials() []webauthn.Credential { return s.passkeys }

// verifier parses and verifies one answer over and over: what a login cannot do without.
type verifier struct {
	library *webauthn.WebAuthn
	user    someone
	session webauthn.SessionData
	answer  []byte
}

func newVerifier() (*verifier, error) {
	library, err := webauthn.New(&webauthn.Config{RPID: "localhost", RPDisplayName: "bench", RPOrigins: []string{fleet.Origin}})
	if err != nil {
		return nil, err
	}
	v := &verifier{library: library}
	device := authenticator.Phone()
	if err := v.register(device); err != nil {
		return nil, err
	}
	options, session, err := library.BeginLogin(v.user)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	answer, err := device.Get(string(raw), fleet.Origin)
	v.session, v.answer = *session, []byte(answer)
	return v, err
}

func (v *verifier) register(device *authenticator.Device) error {
	options, session, err := v.library.BeginRegistration(v.user)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return err
	}
	answer, err := device.Create(string(raw), fleet.Origin)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return err
	}
	passkey, err := v.library.CreateCredential(v.user, *session, parsed)
	if err != nil {
		return err
	}
	v.user.passkeys = []webauthn.Credential{*passkey}
	return nil
}

func (v *verifier) verify() error {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(v.answer)
	if err != nil {
		return err
	}
	_, err = v.library.ValidateLogin(v.user, v.session, parsed)
	return err
}

// round verifies on every core for as long.
func (v *verifier) round(ctx context.Context, duration time.Duration) (fleet.Sample, error) {
	began := time.Now()
	var done atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() error {
			for time.Since(began) < duration && ctx.Err() == nil {
				if err := v.verify(); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := work.Wait()
	return fleet.Sample{Rate: float64(done.Load()) / time.Since(began).Seconds()}, err
}

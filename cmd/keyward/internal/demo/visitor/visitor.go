// Package demo tells Keyward's story with a software authenticator against a running server, for one user step by step or for a whole
// population. It calls the public HTTP API and nothing else.
package visitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// Visitor is a user with a device, in one browser profile.
type Visitor struct {
	API    *client.Client
	Origin string // of the page

	ID, Name string
	Device   *authenticator.Device
	Browser  rest.ClientInformation // the handle that the server issued included
	Address  string                 // that the browser is seen at; empty = what it says of itself
	Visits   int
}

// SignUp creates the user.
func (v *Visitor) SignUp(ctx context.Context) error {
	user, err := v.API.CreateUser(ctx, rest.UserCreateReq{FullName: &v.Name, Status: rest.UserStatusActive})
	v.ID = user.UserID
	return err
}

// Arrive begins a visit and returns its process ID.
func (v *Visitor) Arrive() string {
	v.Visits++
	return fmt.Sprintf("demo-%s-%d", v.ID, v.Visits)
}

// Client is what is said of the browser.
func (v *Visitor) Client() rest.ClientInformation {
	c := v.Browser
	if v.Address != "" {
		c.RemoteAddress = v.Address
	}
	return c
}

// Keep keeps a handle that the server issued, if it did.
func (v *Visitor) Keep(handle *string) {
	if handle != nil {
		v.Browser.ClientEnvHandle = handle
	}
}

// AppendStart asks whether a passkey should be created.
func (v *Visitor) AppendStart(
	ctx context.Context, process string, flags rest.PasskeyIntelFlags,
) (rest.PasskeyAppendStartRsp, error) {
	start, err := v.API.AppendStart(ctx, rest.PasskeyAppendStartReq{
		UserID: v.ID, ProcessID: process, Username: v.Name, ClientInformation: v.Client(), PasskeyIntelFlags: flags,
	})
	v.Keep(start.NewClientEnvHandle)
	return start, err
}

// AppendFinish creates one with the device.
func (v *Visitor) AppendFinish(ctx context.Context, process, options string) error {
	made, err := v.Device.Create(options, v.Origin)
	if err != nil {
		return fmt.Errorf("create a passkey: %w", err)
	}
	_, err = v.API.AppendFinish(ctx, rest.PasskeyAppendFinishReq{
		UserID: v.ID, ProcessID: process, AttestationResponse: made, ClientInformation: v.Client(),
	})
	return err
}

// LoginStart asks whether a login with a passkey should be offered.
func (v *Visitor) LoginStart(
	ctx context.Context, process string, strategy rest.CrossDeviceAuthenticationStrategy,
) (rest.PasskeyLoginStartRsp, error) {
	start, err := v.API.LoginStart(ctx, rest.PasskeyLoginStartReq{
		UserID: v.ID, ProcessID: process, ClientInformation: v.Client(), CrossDeviceAuthenticationStrategy: strategy,
	})
	v.Keep(start.NewClientEnvHandle)
	return start, err
}

// LoginFinish signs with the device; authenticator.ErrNoCredentials if it has no passkey that would do.
func (v *Visitor) LoginFinish(ctx context.Context, process, options string) error {
	signed, err := v.Device.Get(options, v.Origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	_, err = v.API.LoginFinish(ctx, rest.PasskeyLoginFinishReq{
		UserID: v.ID, ProcessID: process, AssertionResponse: signed, ClientInformation: v.Client(),
	})
	return err
}

// MediationStart asks whether passkeys should be offered for autofill.
func (v *Visitor) MediationStart(ctx context.Context, process string) (rest.PasskeyMediationStartRsp, error) {
	start, err := v.API.MediationStart(ctx, rest.PasskeyMediationStartReq{ProcessID: &process, ClientInformation: v.Client()})
	v.Keep(start.NewClientEnvHandle)
	return start, err
}

// MediationFinish signs with a passkey that was picked from autofill.
func (v *Visitor) MediationFinish(ctx context.Context, process, options string) error {
	signed, err := v.Device.Get(options, v.Origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	_, err = v.API.MediationFinish(ctx, rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: signed, ClientInformation: v.Client(),
	})
	return err
}

// Report posts an event about a ceremony that was started with options, which tell where it was; options may be empty.
func (v *Visitor) Report(
	ctx context.Context, kind rest.PasskeyEventType, process, options string,
) error {
	req := rest.PasskeyEventCreateReq{EventType: kind}
	if process != "" {
		req.ProcessID = &process
	}
	if options != "" {
		challenge, err := challengeOf(options)
		if err != nil {
			return err
		}
		req.Challenge = &challenge
	}
	_, err := v.API.ReportEvent(ctx, v.ID, req)
	return err
}

func challengeOf(options string) (string, error) {
	var parsed struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &parsed); err != nil {
		return "", fmt.Errorf("read options: %w", err)
	}
	if parsed.PublicKey.Challenge == "" {
		return "", errors.New("the options hold no challenge")
	}
	return parsed.PublicKey.Challenge, nil
}

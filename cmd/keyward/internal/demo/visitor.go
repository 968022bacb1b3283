// Package demo tells Keyward's story with a software authenticator against a running server, for one user step by step or for a whole
// population. It calls the public HTTP API and nothing else.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// visitor is a user with a device, in one browser profile.
type visitor struct {
	api    *client.Client
	origin string

	id, name string
	device   *authenticator.Device
	browser  rest.ClientInformation // the handle that the server issued included
	visits   int
}

// signUp creates the user.
func (v *visitor) signUp(ctx context.Context) error {
	user, err := v.api.CreateUser(ctx, rest.UserCreateReq{FullName: &v.name, Status: rest.UserStatusActive})
	v.id = user.UserID
	return err
}

// arrive begins a visit and returns its process ID.
func (v *visitor) arrive() string {
	v.visits++
	return fmt.Sprintf("demo-%s-%d", v.id, v.visits)
}

func (v *visitor) keep(handle *string) {
	if handle != nil {
		v.browser.ClientEnvHandle = handle
	}
}

func (v *visitor) appendStart(
	ctx context.Context, process string, flags rest.PasskeyIntelFlags,
) (rest.PasskeyAppendStartRsp, error) {
	start, err := v.api.AppendStart(ctx, rest.PasskeyAppendStartReq{
		UserID: v.id, ProcessID: process, Username: v.name, ClientInformation: v.browser, PasskeyIntelFlags: flags,
	})
	v.keep(start.NewClientEnvHandle)
	return start, err
}

func (v *visitor) appendFinish(ctx context.Context, process, options string) error {
	made, err := v.device.Create(options, v.origin)
	if err != nil {
		return fmt.Errorf("create a passkey: %w", err)
	}
	_, err = v.api.AppendFinish(ctx, rest.PasskeyAppendFinishReq{
		UserID: v.id, ProcessID: process, AttestationResponse: made, ClientInformation: v.browser,
	})
	return err
}

func (v *visitor) loginStart(
	ctx context.Context, process string, strategy rest.CrossDeviceAuthenticationStrategy,
) (rest.PasskeyLoginStartRsp, error) {
	start, err := v.api.LoginStart(ctx, rest.PasskeyLoginStartReq{
		UserID: v.id, ProcessID: process, ClientInformation: v.browser, CrossDeviceAuthenticationStrategy: strategy,
	})
	v.keep(start.NewClientEnvHandle)
	return start, err
}

func (v *visitor) loginFinish(ctx context.Context, process, options string) error {
	signed, err := v.device.Get(options, v.origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	_, err = v.api.LoginFinish(ctx, rest.PasskeyLoginFinishReq{
		UserID: v.id, ProcessID: process, AssertionResponse: signed, ClientInformation: v.browser,
	})
	return err
}

func (v *visitor) mediationStart(ctx context.Context, process string) (rest.PasskeyMediationStartRsp, error) {
	start, err := v.api.MediationStart(ctx, rest.PasskeyMediationStartReq{ProcessID: &process, ClientInformation: v.browser})
	v.keep(start.NewClientEnvHandle)
	return start, err
}

func (v *visitor) mediationFinish(ctx context.Context, process, options string) error {
	signed, err := v.device.Get(options, v.origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	_, err = v.api.MediationFinish(ctx, rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: signed, ClientInformation: v.browser,
	})
	return err
}

// report posts an event about a ceremony that was started with options, which tell where it was; options may be empty.
func (v *visitor) report(
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
	_, err := v.api.ReportEvent(ctx, v.id, req)
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

// Package demo tells Keyward's story with a software authenticator against a running server, for one user step by step or for a whole population. It calls the public HTTP API and nothing else.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// visitor is a user with a device, in one browser profile.
type visitor struct {
	api    *client.ClientWithResponses
	origin string

	id, name string
	device   *authenticator.Device
	browser  rest.ClientInformation // the handle that the server issued included
	visits   int
}

// fault is an answer other than success.
type fault struct {
	status int
	error  rest.ErrorDetails
}

// Error implements error.
func (f *fault) Error() string {
	text := fmt.Sprintf("the server answered %d %s", f.status, f.error.Type)
	if f.error.Details != nil {
		text += ": " + *f.error.Details
	}
	if f.error.Validation != nil {
		for _, v := range *f.error.Validation {
			text += fmt.Sprintf(": %s: %s", v.Field, v.Message)
		}
	}
	return text
}

// answered returns the body of a success, or what went wrong.
func answered[T any](body *T, failure *rest.ErrorRsp, raw *http.Response) (T, error) {
	var none T
	switch {
	case body != nil:
		return *body, nil
	case failure != nil:
		return none, &fault{status: raw.StatusCode, error: failure.Error}
	default:
		return none, fmt.Errorf("the server answered %s without a body that could be read", raw.Status)
	}
}

// signUp creates the user.
func (v *visitor) signUp(ctx context.Context) error {
	rsp, err := v.api.CreateUserWithResponse(ctx, rest.UserCreateReq{FullName: &v.name, Status: rest.UserStatusActive})
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	user, err := answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
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

func (v *visitor) appendStart(ctx context.Context, process string, flags rest.PasskeyIntelFlags) (rest.PasskeyAppendStartRsp, error) {
	rsp, err := v.api.PasskeyAppendStartWithResponse(ctx, rest.PasskeyAppendStartReq{
		UserID: v.id, ProcessID: process, Username: v.name, ClientInformation: v.browser, PasskeyIntelFlags: flags,
	})
	if err != nil {
		return rest.PasskeyAppendStartRsp{}, fmt.Errorf("call the server: %w", err)
	}
	body, err := answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	v.keep(body.NewClientEnvHandle)
	return body, err
}

func (v *visitor) appendFinish(ctx context.Context, process, options string) error {
	made, err := v.device.Create(options, v.origin)
	if err != nil {
		return fmt.Errorf("create a passkey: %w", err)
	}
	rsp, err := v.api.PasskeyAppendFinishWithResponse(ctx, rest.PasskeyAppendFinishReq{
		UserID: v.id, ProcessID: process, AttestationResponse: made, ClientInformation: v.browser,
	})
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	_, err = answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	return err
}

func (v *visitor) loginStart(ctx context.Context, process string, strategy rest.CrossDeviceAuthenticationStrategy) (rest.PasskeyLoginStartRsp, error) {
	rsp, err := v.api.PasskeyLoginStartWithResponse(ctx, rest.PasskeyLoginStartReq{
		UserID: v.id, ProcessID: process, ClientInformation: v.browser, CrossDeviceAuthenticationStrategy: strategy,
	})
	if err != nil {
		return rest.PasskeyLoginStartRsp{}, fmt.Errorf("call the server: %w", err)
	}
	body, err := answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	v.keep(body.NewClientEnvHandle)
	return body, err
}

func (v *visitor) loginFinish(ctx context.Context, process, options string) error {
	signed, err := v.device.Get(options, v.origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	rsp, err := v.api.PasskeyLoginFinishWithResponse(ctx, rest.PasskeyLoginFinishReq{
		UserID: v.id, ProcessID: process, AssertionResponse: signed, ClientInformation: v.browser,
	})
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	_, err = answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	return err
}

func (v *visitor) mediationStart(ctx context.Context, process string) (rest.PasskeyMediationStartRsp, error) {
	rsp, err := v.api.PasskeyMediationStartWithResponse(ctx, rest.PasskeyMediationStartReq{ProcessID: &process, ClientInformation: v.browser})
	if err != nil {
		return rest.PasskeyMediationStartRsp{}, fmt.Errorf("call the server: %w", err)
	}
	body, err := answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	v.keep(body.NewClientEnvHandle)
	return body, err
}

func (v *visitor) mediationFinish(ctx context.Context, process, options string) error {
	signed, err := v.device.Get(options, v.origin)
	if err != nil {
		return fmt.Errorf("sign with a passkey: %w", err)
	}
	rsp, err := v.api.PasskeyMediationFinishWithResponse(ctx, rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: signed, ClientInformation: v.browser,
	})
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	_, err = answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
	return err
}

// report posts an event about a ceremony that was started with options; options may be empty.
func (v *visitor) report(ctx context.Context, kind rest.PasskeyEventType, process, options string, environments []string) error {
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
	if len(environments) > 0 {
		req.ClientEnvID = &environments[0]
	}
	rsp, err := v.api.CreatePasskeyEventWithResponse(ctx, v.id, req)
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	_, err = answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
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

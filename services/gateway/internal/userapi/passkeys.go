package userapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	objectv2 "github.com/keyward/keyward/api/zitadel/object/v2"
	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// The length of publicKeyCredential as JSON text, in characters.
const (
	minCredential = 55
	maxCredential = 1_048_576
)

const (
	reasonOtherUser  = "AUTH-Bohd2"      // existing clients know it
	reasonPermission = "AUTH-Permission" // the caller's own user, where that is not enough
)

// passkeys implements zitadel.user.v2.UserService for all protocols. Its methods are called with the context of a call that serve has
// admitted.
type passkeys struct{ api *API }

// RegisterPasskey begins a registration.
func (p *passkeys) RegisterPasskey(ctx context.Context, req *userv2.RegisterPasskeyRequest) (*userv2.RegisterPasskeyResponse, error) {
	return answer(ctx, p.api, req, p.register)
}

func (p *passkeys) register(ctx context.Context, c *call, req *userv2.RegisterPasskeyRequest) (*userv2.RegisterPasskeyResponse, error) {
	wanted := service.PasskeyRegistration{
		Attachment: attachment(req.GetAuthenticator()), Domain: req.GetDomain(), UserAgent: c.browser.userAgent, Address: c.browser.address,
	}
	if code := req.GetCode(); code != nil {
		wanted.Code = &service.PasskeyCode{ID: code.GetId(), Code: code.GetCode()} // whoever has it needs no permission
	} else if err := c.permit(req.GetUserId()); err != nil {
		return nil, err
	}
	user, err := parseUser(req.GetUserId())
	if err != nil {
		return nil, err
	}
	pending, err := p.api.deps.Registrations.RegisterPasskey(ctx, forUser(c, user, wanted))
	c.outcome.Decision, c.outcome.Policy = pending.Decision, pending.PolicyRevision
	if err != nil {
		return nil, err
	}
	options := &structpb.Struct{}
	if err := protojson.Unmarshal(pending.Options, options); err != nil {
		return nil, fault.Internal(fmt.Errorf("creation options: %w", err))
	}
	return &userv2.RegisterPasskeyResponse{
		Details: c.details(pending.Change), PasskeyId: string(pending.ID), PublicKeyCredentialCreationOptions: options,
	}, nil
}

// attachment returns where a passkey may live, as WebAuthn names it. A place that is not known yet is any place, as for clients that leave
// it out.
func attachment(a userv2.PasskeyAuthenticator) string {
	switch a {
	case userv2.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_PLATFORM:
		return "platform"
	case userv2.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_CROSS_PLATFORM:
		return "cross-platform"
	}
	return ""
}

// VerifyPasskeyRegistration finishes a registration.
func (p *passkeys) VerifyPasskeyRegistration(
	ctx context.Context, req *userv2.VerifyPasskeyRegistrationRequest,
) (*userv2.VerifyPasskeyRegistrationResponse, error) {
	return answer(ctx, p.api, req, p.verify)
}

func (p *passkeys) verify(
	ctx context.Context, c *call, req *userv2.VerifyPasskeyRegistrationRequest,
) (*userv2.VerifyPasskeyRegistrationResponse, error) {
	credential, err := credentialText(req.GetPublicKeyCredential())
	if err != nil {
		return nil, err
	}
	if err := c.permit(req.GetUserId()); err != nil {
		return nil, err
	}
	user, passkey, err := parsePasskey(req)
	if err != nil {
		return nil, err
	}
	change, err := p.api.deps.Registrations.VerifyPasskey(ctx, forUser(c, user, service.PasskeyVerification{
		ID: passkey, Credential: credential, Name: req.GetPasskeyName(), Address: c.browser.address,
	}))
	if err != nil {
		return nil, err
	}
	return &userv2.VerifyPasskeyRegistrationResponse{Details: c.details(change)}, nil
}

// credentialText returns a credential as JSON text. As a message it has neither an order nor spaces, so those do not count.
func credentialText(credential *structpb.Struct) ([]byte, error) {
	text, err := json.Marshal(credential.AsMap(), json.Deterministic(true))
	if err != nil { // what a message can hold and JSON cannot, AsMap has made text or null
		return nil, fault.Internal(fmt.Errorf("credential: %w", err))
	}
	if n := utf8.RuneCount(text); n < minCredential || n > maxCredential {
		return nil, invalid(fmt.Sprintf(
			"invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value length must be between %d and %d characters, inclusive",
			minCredential,
			maxCredential,
		))
	}
	return text, nil
}

// CreatePasskeyRegistrationLink makes a registration code, and sends or returns it.
func (p *passkeys) CreatePasskeyRegistrationLink(
	ctx context.Context, req *userv2.CreatePasskeyRegistrationLinkRequest,
) (*userv2.CreatePasskeyRegistrationLinkResponse, error) {
	return answer(ctx, p.api, req, p.createLink)
}

func (p *passkeys) createLink(
	ctx context.Context, c *call, req *userv2.CreatePasskeyRegistrationLinkRequest,
) (*userv2.CreatePasskeyRegistrationLinkResponse, error) {
	if err := c.permit(req.GetUserId()); err != nil {
		return nil, err
	}
	user, err := parseUser(req.GetUserId())
	if err != nil {
		return nil, err
	}
	_, returned := req.GetMedium().(*userv2.CreatePasskeyRegistrationLinkRequest_ReturnCode)
	created, err := p.api.deps.Registrations.CreatePasskeyCode(ctx, forUser(c, user, service.PasskeyCodeRequest{
		Send: !returned, URLTemplate: req.GetSendLink().GetUrlTemplate(),
	}))
	if err != nil {
		return nil, err
	}
	res := &userv2.CreatePasskeyRegistrationLinkResponse{Details: c.details(created.Change)}
	if returned && created.Code != nil {
		res.Code = &userv2.PasskeyRegistrationCode{Id: created.Code.ID, Code: created.Code.Code}
	}
	return res, nil
}

// ListPasskeys lists what the user can log in with.
func (p *passkeys) ListPasskeys(ctx context.Context, req *userv2.ListPasskeysRequest) (*userv2.ListPasskeysResponse, error) {
	return answer(ctx, p.api, req, p.list)
}

func (p *passkeys) list(ctx context.Context, c *call, req *userv2.ListPasskeysRequest) (*userv2.ListPasskeysResponse, error) {
	if err := c.permit(req.GetUserId()); err != nil {
		return nil, err
	}
	user, err := parseUser(req.GetUserId())
	if err != nil {
		return nil, err
	}
	list, err := p.api.deps.Registrations.ListPasskeys(ctx, forUser(c, user, service.Empty{}))
	if err != nil {
		return nil, err
	}
	res := &userv2.ListPasskeysResponse{
		Details: &objectv2.ListDetails{
			TotalResult: uint64(len(list.Passkeys)), ProcessedSequence: sequenceAt(list.ChangedMs), Timestamp: timestamp(list.ChangedMs),
		},
	}
	for _, one := range list.Passkeys {
		res.Result = append(
			res.Result, &userv2.Passkey{Id: string(one.ID), State: userv2.AuthFactorState_AUTH_FACTOR_STATE_READY, Name: one.Name},
		)
	}
	return res, nil
}

// RemovePasskey removes a passkey, or ends a registration.
func (p *passkeys) RemovePasskey(ctx context.Context, req *userv2.RemovePasskeyRequest) (*userv2.RemovePasskeyResponse, error) {
	return answer(ctx, p.api, req, p.remove)
}

func (p *passkeys) remove(ctx context.Context, c *call, req *userv2.RemovePasskeyRequest) (*userv2.RemovePasskeyResponse, error) {
	if err := c.permit(req.GetUserId()); err != nil {
		return nil, err
	}
	user, passkey, err := parsePasskey(req)
	if err != nil {
		return nil, err
	}
	change, err := p.api.deps.Registrations.RemovePasskey(ctx, forUser(c, user, passkey))
	if err != nil {
		return nil, err
	}
	return &userv2.RemovePasskeyResponse{Details: c.details(change)}, nil
}

// permit refuses a caller that may not call the method for the user.
func (c *call) permit(user string) error {
	own := c.caller.User != "" && string(c.caller.User) == user
	if own && c.method.ownUser || c.caller.Permits(c.method.permission) {
		return nil
	}
	f := &fault.Fault{Type: fault.TypeLoginError, Status: http.StatusForbidden}
	if own {
		f.Details, f.Reason = "The permission "+c.method.permission+" is needed", reasonPermission
		return f
	}
	f.Details, f.Reason = "Request user not equal to authenticated user", reasonOtherUser
	return f
}

// parseUser returns a user ID. One that no user can have is unknown like any other.
func parseUser(id string) (ident.UserID, error) {
	user, err := ident.ParseUserID(id)
	if err != nil {
		return "", service.ErrUserUnknown.Because(err)
	}
	return user, nil
}

// parsePasskey returns the IDs of a user and of a passkey, likewise.
func parsePasskey(req interface {
	GetUserId() string
	GetPasskeyId() string
},
) (ident.UserID, ident.CredentialID, error) {
	user, err := parseUser(req.GetUserId())
	if err != nil {
		return "", "", err
	}
	passkey, err := ident.ParseCredentialID(req.GetPasskeyId())
	if err != nil {
		return "", "", service.ErrPasskeyUnknown.Because(err)
	}
	return user, passkey, nil
}

func forUser[T any](c *call, user ident.UserID, body T) service.ForUser[T] {
	return service.ForUser[T]{Project: c.caller.Project, User: user, Body: body}
}

func (c *call) details(change service.Change) *objectv2.Details {
	return &objectv2.Details{
		Sequence: sequenceAt(
			change.ChangedMs,
		),
		ChangeDate:    timestamp(change.ChangedMs),
		ResourceOwner: string(c.caller.Project),
		CreationDate:  timestamp(change.CreatedMs),
	}
}

// timestamp returns a time in Unix ms; 0 = there is none.
func timestamp(ms int64) *timestamppb.Timestamp {
	if ms == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMilli(ms))
}

// sequenceAt is what existing clients get for the sequence of a change: it grows with every later one. The place in the stream would tell
// each tenant how much the others do.
func sequenceAt(changedMs int64) uint64 { return uint64(max(changedMs, 0)) }

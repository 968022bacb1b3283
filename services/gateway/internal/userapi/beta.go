package userapi

import (
	"context"

	objectv2 "github.com/keyward/keyward/api/zitadel/object/v2"
	objectv2beta "github.com/keyward/keyward/api/zitadel/object/v2beta"
	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
)

// betaPasskeys implements zitadel.user.v2beta.UserService by that of v2. Messages are of the same names and limits in both, so that their
// errors are too.
type betaPasskeys struct{ v2 *passkeys }

// RegisterPasskey begins a registration.
func (b *betaPasskeys) RegisterPasskey(
	ctx context.Context, req *userv2beta.RegisterPasskeyRequest,
) (*userv2beta.RegisterPasskeyResponse, error) {
	newer := &userv2.RegisterPasskeyRequest{
		UserId: req.GetUserId(), Authenticator: userv2.PasskeyAuthenticator(req.GetAuthenticator()), Domain: req.GetDomain(),
	}
	if code := req.GetCode(); code != nil {
		newer.Code = &userv2.PasskeyRegistrationCode{Id: code.GetId(), Code: code.GetCode()}
	}
	res, err := b.v2.RegisterPasskey(ctx, newer)
	if err != nil {
		return nil, err
	}
	return &userv2beta.RegisterPasskeyResponse{
		Details: betaDetails(
			res.GetDetails(),
		),
		PasskeyId:                          res.GetPasskeyId(),
		PublicKeyCredentialCreationOptions: res.GetPublicKeyCredentialCreationOptions(),
	}, nil
}

// VerifyPasskeyRegistration finishes a registration.
func (b *betaPasskeys) VerifyPasskeyRegistration(
	ctx context.Context, req *userv2beta.VerifyPasskeyRegistrationRequest,
) (*userv2beta.VerifyPasskeyRegistrationResponse, error) {
	res, err := b.v2.VerifyPasskeyRegistration(ctx, &userv2.VerifyPasskeyRegistrationRequest{
		UserId:              req.GetUserId(),
		PasskeyId:           req.GetPasskeyId(),
		PublicKeyCredential: req.GetPublicKeyCredential(),
		PasskeyName:         req.GetPasskeyName(),
	})
	if err != nil {
		return nil, err
	}
	return &userv2beta.VerifyPasskeyRegistrationResponse{Details: betaDetails(res.GetDetails())}, nil
}

// CreatePasskeyRegistrationLink makes a registration code, and sends or returns it.
func (b *betaPasskeys) CreatePasskeyRegistrationLink(
	ctx context.Context, req *userv2beta.CreatePasskeyRegistrationLinkRequest,
) (*userv2beta.CreatePasskeyRegistrationLinkResponse, error) {
	newer := &userv2.CreatePasskeyRegistrationLinkRequest{UserId: req.GetUserId()}
	switch medium := req.GetMedium().(type) {
	case *userv2beta.CreatePasskeyRegistrationLinkRequest_SendLink:
		link := &userv2.SendPasskeyRegistrationLink{}
		if medium.SendLink != nil {
			link.UrlTemplate = medium.SendLink.UrlTemplate // unset is not empty
		}
		newer.Medium = &userv2.CreatePasskeyRegistrationLinkRequest_SendLink{SendLink: link}
	case *userv2beta.CreatePasskeyRegistrationLinkRequest_ReturnCode:
		newer.Medium = &userv2.CreatePasskeyRegistrationLinkRequest_ReturnCode{ReturnCode: &userv2.ReturnPasskeyRegistrationCode{}}
	}
	res, err := b.v2.CreatePasskeyRegistrationLink(ctx, newer)
	if err != nil {
		return nil, err
	}
	older := &userv2beta.CreatePasskeyRegistrationLinkResponse{Details: betaDetails(res.GetDetails())}
	if code := res.GetCode(); code != nil {
		older.Code = &userv2beta.PasskeyRegistrationCode{Id: code.GetId(), Code: code.GetCode()}
	}
	return older, nil
}

func betaDetails(d *objectv2.Details) *objectv2beta.Details {
	return &objectv2beta.Details{
		Sequence: d.GetSequence(), ChangeDate: d.GetChangeDate(), ResourceOwner: d.GetResourceOwner(), CreationDate: d.GetCreationDate(),
	}
}

package ceremonytest

import (
	"context"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// CodeTo asks for a code of a kind, to be sent to an address or number.
func CodeTo(kind rest.ChallengeType, value string) rest.ChallengeCreateReq {
	return rest.ChallengeCreateReq{ChallengeType: kind, IdentifierValue: value}
}

// NewCode sends a code.
func (st *Stack) NewCode(tb testing.TB, user ident.UserID, body rest.ChallengeCreateReq) (rest.Challenge, error) {
	tb.Helper()
	return st.CreateCode(tb.Context(), service.ForUser[rest.ChallengeCreateReq]{Project: st.Project.ID, User: user, Body: body})
}

// CheckCode has a process of the service check the value of a code.
func CheckCode(ctx context.Context, st *Stack, svc service.Codes, user ident.UserID, id, value string) (rest.Challenge, error) {
	return svc.CheckCode(ctx, service.ForUser[service.CodeCheck]{
		Project: st.Project.ID, User: user, Body: service.CodeCheck{ID: ident.CodeID(id), Value: value},
	})
}

// NamedUser makes a user with an address and a number, whose status is given.
func (st *Stack) NamedUser(tb testing.TB, status account.IdentifierStatus) ident.UserID {
	tb.Helper()
	user := st.NewUser(tb)
	for kind, value := range map[account.IdentifierType]string{account.IdentifierTypeEmail: Email, account.IdentifierTypePhone: Mobile} {
		if _, err := st.CreateIdentifier(tb.Context(), service.ForUser[rest.IdentifierCreateReq]{
			Project: st.Project.ID, User: user, Body: rest.IdentifierCreateReq{
				IdentifierType: rest.IdentifierType(kind), IdentifierValue: value, Status: rest.IdentifierStatus(status),
			},
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return user
}

// IdentifierStatus returns the status of an identifier; of one that the user has not, the empty one.
func (st *Stack) IdentifierStatus(tb testing.TB, user ident.UserID, kind account.IdentifierType, value string) account.IdentifierStatus {
	tb.Helper()
	a := st.Account(tb, user)
	return a.Identifier(kind, value).Status
}

// Wrong returns a code of the same form that is another.
func Wrong(value string) string {
	if value[0] == '0' {
		return "1" + value[1:]
	}
	return "0" + value[1:]
}

// AddIdentifier has a process of the service create a primary identifier.
func (st *Stack) AddIdentifier(
	tb testing.TB, svc service.Directory, user ident.UserID, kind account.IdentifierType, value string,
) (rest.Identifier, error) {
	tb.Helper()
	return svc.CreateIdentifier(tb.Context(), service.ForUser[rest.IdentifierCreateReq]{
		Project: st.Project.ID, User: user, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierType(kind), IdentifierValue: value, Status: rest.IdentifierStatusPrimary,
		},
	})
}

// AddSocialAccount has a process of the service create an account with GitHub.
func (st *Stack) AddSocialAccount(tb testing.TB, svc service.Directory, user ident.UserID, foreignID string) (rest.SocialAccount, error) {
	tb.Helper()
	return svc.CreateSocialAccount(tb.Context(), service.ForUser[rest.SocialAccountCreateReq]{
		Project: st.Project.ID, User: user, Body: rest.SocialAccountCreateReq{
			ProviderType: rest.SocialProviderTypeGithub, ForeignID: foreignID, IdentifierValue: Email,
			AvatarURL: "https://example.com/ada.png", FullName: "Ada",
		},
	})
}

// NewUserOf creates a user as the caller describes.
func (st *Stack) NewUserOf(tb testing.TB, body rest.UserCreateReq) (rest.User, error) {
	tb.Helper()
	return st.CreateUser(tb.Context(), service.ForProject[rest.UserCreateReq]{Project: st.Project.ID, Body: body})
}

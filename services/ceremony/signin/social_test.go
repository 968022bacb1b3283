package signin_test

import (
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestSocialLoginIsAnsweredAsByAProjectWithoutProviders(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	b := begin(t, st)
	google := frontend.SocialVerifyStartReq{
		ProviderType: "google", RedirectURL: "https://example.com/", AuthType: "login",
	}
	ceremonytest.WantField(t, try(t, b, b.SocialVerifyStart, google), 400, "providerType", "is not one that the project offers")
	wantPlace(t, try(t, b, b.SocialVerifyFinish, service.Empty{}))

	b.token += "x"
	wantGone(t, try(t, b, b.SocialVerifyStart, google))
	wantGone(t, try(t, b, b.SocialVerifyFinish, service.Empty{}))
}

package directory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestACreationThatIsRepeatedAfterACrashMakesOneUser(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]rest.UserCreateReq{
		"with a handle of its own":    {Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada"), FullName: new("Ada")},
		"with a handle that is drawn": {Status: rest.UserStatusActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
				st := ceremonytest.New(t)
				ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
				request := service.ForProject[rest.UserCreateReq]{Project: st.Project.ID, Body: body}
				_, _ = st.Mortal(t, c).CreateUser(ctx, request)
				again := st.Restart(t)
				first, err := again.CreateUser(ctx, request)
				if err != nil {
					t.Fatal(err)
				}
				second, err := again.CreateUser(ctx, request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(first, second); diff != "" || first.UserID != string(reqctx.Seed(ctx).UserID()) {
					t.Errorf("%s is not the seed's: %s", first.UserID, diff)
				}
				if all := st.Everyone(t); len(all) != 1 || string(all[0].ID) != first.UserID {
					t.Errorf("there are %+v", all)
				}
				st.WantTold(t, ident.UserID(first.UserID), event.UserCreated)
			})
		})
	}
}

func TestACreationThatIsRepeatedAfterACrashMakesOneIdentifier(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		ada := st.NewUser(t)
		ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
		request := service.ForUser[rest.IdentifierCreateReq]{Project: st.Project.ID, User: ada, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierTypeEmail, IdentifierValue: ceremonytest.Email, Status: rest.IdentifierStatusPrimary,
		}}
		_, _ = st.Mortal(t, c).CreateIdentifier(ctx, request)
		again := st.Restart(t)
		for range 2 {
			made, err := again.CreateIdentifier(ctx, request)
			if err != nil || made.IdentifierID != string(reqctx.Seed(ctx).IdentifierID()) || made.Value != ceremonytest.Email ||
				made.UserID != string(ada) {
				t.Fatalf("got %+v, %v", made, err)
			}
		}
		if all := st.Account(t, ada).Identifiers; len(all) != 1 {
			t.Errorf("there are %+v", all)
		}
		st.WantTold(t, ada, event.UserCreated, event.UserUpdated)
		_, err := again.CreateIdentifier(t.Context(), request)
		ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
	})
}

func TestACreationThatIsRepeatedAfterACrashMakesOneSocialAccount(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		ada := st.NewUser(t)
		ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
		request := service.ForUser[rest.SocialAccountCreateReq]{Project: st.Project.ID, User: ada, Body: rest.SocialAccountCreateReq{
			ProviderType: rest.SocialProviderTypeGithub, ForeignID: "4711", FullName: "Ada",
		}}
		_, _ = st.Mortal(t, c).CreateSocialAccount(ctx, request)
		again := st.Restart(t)
		for range 2 {
			made, err := again.CreateSocialAccount(ctx, request)
			if err != nil || made.SocialAccountID != string(reqctx.Seed(ctx).SocialAccountID()) || made.ForeignID != "4711" {
				t.Fatalf("got %+v, %v", made, err)
			}
		}
		if all := st.Account(t, ada).SocialAccounts; len(all) != 1 {
			t.Errorf("there are %+v", all)
		}
		_, err := again.CreateSocialAccount(t.Context(), request)
		ceremonytest.WantField(t, err, 409, "foreignID", "already exists")
	})
}

package ceremony_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

func TestACreationThatIsRepeatedAfterACrashMakesOneUser(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]rest.UserCreateReq{
		"with a handle of its own":    {Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada"), FullName: ptr("Ada")},
		"with a handle that is drawn": {Status: rest.UserStatusActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyCrash(t, func(t *testing.T, c *crash) {
				st := newStack(t)
				ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
				request := service.ForProject[rest.UserCreateReq]{Project: st.project.ID, Body: body}
				_, _ = st.process(t, c).CreateUser(ctx, request)
				again := st.restart(t)
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
				if all := st.everyone(t); len(all) != 1 || string(all[0].ID) != first.UserID {
					t.Errorf("there are %+v", all)
				}
				st.wantTold(t, ident.UserID(first.UserID), event.UserCreated)
			})
		})
	}
}

func TestACreationThatIsRepeatedAfterACrashMakesOneIdentifier(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		ada := st.user(t)
		ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
		request := service.ForUser[rest.IdentifierCreateReq]{Project: st.project.ID, User: ada, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierTypeEmail, IdentifierValue: email, Status: rest.IdentifierStatusPrimary,
		}}
		_, _ = st.process(t, c).CreateIdentifier(ctx, request)
		again := st.restart(t)
		for range 2 {
			made, err := again.CreateIdentifier(ctx, request)
			if err != nil || made.IdentifierID != string(reqctx.Seed(ctx).IdentifierID()) || made.Value != email || made.UserID != string(ada) {
				t.Fatalf("got %+v, %v", made, err)
			}
		}
		if all := st.get(t, ada).Identifiers; len(all) != 1 {
			t.Errorf("there are %+v", all)
		}
		st.wantTold(t, ada, event.UserCreated, event.UserUpdated)
		_, err := again.CreateIdentifier(t.Context(), request)
		wantField(t, err, 409, "identifierValue", "already exists")
	})
}

func TestACreationThatIsRepeatedAfterACrashMakesOneSocialAccount(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		ada := st.user(t)
		ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
		request := service.ForUser[rest.SocialAccountCreateReq]{Project: st.project.ID, User: ada, Body: rest.SocialAccountCreateReq{
			ProviderType: rest.SocialProviderTypeGithub, ForeignID: "4711", FullName: "Ada",
		}}
		_, _ = st.process(t, c).CreateSocialAccount(ctx, request)
		again := st.restart(t)
		for range 2 {
			made, err := again.CreateSocialAccount(ctx, request)
			if err != nil || made.SocialAccountID != string(reqctx.Seed(ctx).SocialAccountID()) || made.ForeignID != "4711" {
				t.Fatalf("got %+v, %v", made, err)
			}
		}
		if all := st.get(t, ada).SocialAccounts; len(all) != 1 {
			t.Errorf("there are %+v", all)
		}
		_, err := again.CreateSocialAccount(t.Context(), request)
		wantField(t, err, 409, "foreignID", "already exists")
	})
}

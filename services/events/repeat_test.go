package events_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

func TestACreationThatIsRepeatedAppendsOneEvent(t *testing.T) {
	t.Parallel()
	w := begin(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	request := service.ForUser[rest.PasskeyEventCreateReq]{
		Project: project, User: "usr-1", Body: rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError},
	}
	first, err := w.Create(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Create(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" || first.PasskeyEventID != string(reqctx.Seed(ctx).EventID()) {
		t.Errorf("%s is not the seed's: %s", first.PasskeyEventID, diff)
	}
	if list := w.list(service.EventList{List: service.List{Page: 1, PageSize: 10}}); len(list.PasskeyEvents) != 1 {
		t.Errorf("there are %+v", list.PasskeyEvents)
	}
	// A repeat must not bring back what was deleted meanwhile.
	if _, err := w.Delete(
		t.Context(),
		service.ForUser[ident.EventID]{Project: project, User: "usr-1", Body: ident.EventID(first.PasskeyEventID)},
	); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Create(ctx, request); err != nil {
		t.Error(err)
	}
	if list := w.list(service.EventList{List: service.List{Page: 1, PageSize: 10}}); len(list.PasskeyEvents) != 0 {
		t.Errorf("there are %+v", list.PasskeyEvents)
	}
}

func TestAnAuthEventThatIsRepeatedKeepsItsID(t *testing.T) {
	t.Parallel()
	w := begin(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	request := reported("usr-1", rest.AuthEventCreateReq{
		Username: "ada", EventType: rest.AuthEventTypeLogin, Method: rest.AuthEventMethodPassword, Status: rest.AuthEventStatusSuccess,
	})
	for range 2 {
		made, err := w.CreateAuthEvent(ctx, request)
		if err != nil || made.AuthEventID != string(reqctx.Seed(ctx).EventID()) {
			t.Errorf("got %+v, %v", made, err)
		}
	}
	info, err := w.bus.JS.Stream(t.Context(), "PASSKEY_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := info.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages are in the log", n)
	}
}

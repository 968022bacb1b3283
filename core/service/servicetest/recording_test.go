package servicetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
)

func TestAFakeKeepsWhatItWasAskedAndAnswersAsTold(t *testing.T) {
	t.Parallel()
	r := &servicetest.Recording{}
	fake, asked := servicetest.Ceremony{Recording: r}, service.ForUser[service.Empty]{Project: "pro-1", User: "usr-1"}
	if got, err := fake.GetUser(t.Context(), asked); err != nil || got != (rest.User{}) {
		t.Errorf("untold, it answers %+v, %v", got, err)
	}
	servicetest.Answer(
		r, service.Ceremony.GetUser,
		func(q service.ForUser[service.Empty]) rest.User { return rest.User{UserID: string(q.User)} },
	)
	if got, err := fake.GetUser(reqctx.WithRequestID(t.Context(), "req-1"), asked); err != nil || got.UserID != "usr-1" {
		t.Errorf("it answers %+v, %v", got, err)
	}
	want := servicetest.Call{Method: "Ceremony.GetUser", RequestID: "req-1", Request: asked}
	if calls := r.Calls(); len(calls) != 2 || calls[1] != want {
		t.Errorf("it was asked %+v", calls)
	}
	broken := errors.New("broken")
	r.Before(func(_ context.Context, method string) error {
		if method == "Events.Append" {
			return broken
		}
		return nil
	})
	servicetest.Answer(r, service.Events.Erase, func(service.ForUser[service.Empty]) service.Empty { return service.Empty{} })
	if _, err := fake.GetUser(t.Context(), asked); err != nil {
		t.Errorf("another method fails: %v", err)
	}
	if _, err := (servicetest.Events{Recording: r}).Append(t.Context(), event.Event{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

package labelling_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func label(t *testing.T, st *ceremonytest.Stack, user ident.UserID, labels ...string) (rest.UserLabels, error) {
	t.Helper()
	return st.SetUserLabels(t.Context(), service.ForUser[rest.UserLabels]{
		Project: st.Project.ID, User: user, Body: rest.UserLabels{Labels: labels},
	})
}

func TestLabelsOfAUserAreSetAsAWholeAndToldOf(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	for _, step := range []struct{ set, want []string }{
		{[]string{"staff", "admin", "staff"}, []string{"admin", "staff"}},
		{[]string{"admin", "staff"}, []string{"admin", "staff"}}, // nothing new, and nothing is told
		{[]string{"staff"}, []string{"staff"}},
		{nil, []string{}},
	} {
		set, err := label(t, st, ada, step.set...)
		if diff := cmp.Diff(step.want, set.Labels); err != nil || diff != "" {
			t.Errorf("%v: %v\n%s", step.set, err, diff)
		}
		got, err := st.GetUserLabels(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: ada})
		if diff := cmp.Diff(step.want, got.Labels); err != nil || diff != "" {
			t.Errorf("%v is there: %v\n%s", step.set, err, diff)
		}
	}
	st.WantTold(t, ada, event.UserCreated, event.UserLabelled, event.UserLabelled, event.UserLabelled)
	told := st.Events.OfType(event.UserLabelled)
	if len(told) != 3 || told[0].Labels == nil || len(*told[0].Labels) != 2 || told[2].Labels == nil || len(*told[2].Labels) != 0 {
		t.Errorf("told %+v", told)
	}
}

func TestALabelThatThePolicyDoesNotDeclareIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	_, err := label(t, st, ada, "admin", "amdin")
	said := fmt.Sprint(err)
	if !errors.Is(err, fault.TypeValidationError) || !strings.Contains(said, "amdin") || !strings.Contains(said, "admin, staff") {
		t.Errorf("%v", err)
	}
	if a := st.Account(t, ada); len(a.Labels) != 0 {
		t.Errorf("it has %v", a.Labels)
	}
	if _, err := label(t, st, "usr-1", "admin"); err == nil {
		t.Error("nobody was given a label")
	}
}

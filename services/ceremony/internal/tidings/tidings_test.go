package tidings_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/tidings"
)

func TestOfACeremonyIsToldWhatItHasShown(t *testing.T) {
	t.Parallel()
	done := event.Event{
		Type: event.LoginCompleted, Ceremony: "chl-1", Project: "pro-1", User: "usr-1", Environment: "env-1", Credential: "cre-1", CreatedMs: 7,
		Origin: &event.Origin{Country: "BR"}, Use: &event.Use{BackedUp: true}, UV: new(true), Route: event.Local,
	}
	for name, c := range map[string]struct {
		shown tidings.Shown
		want  []event.Type
	}{
		"nothing":              {tidings.Shown{}, nil},
		"a browser":            {tidings.Shown{NewEnvironment: true}, []event.Type{event.NewEnvironment}},
		"a country":            {tidings.Shown{NewCountry: true}, []event.Type{event.NewCountry}},
		"that it is backed up": {tidings.Shown{BackupChanged: true}, []event.Type{event.BackupStateChanged}},
		"all of it, the passkey first": {
			tidings.Shown{NewEnvironment: true, NewCountry: true, BackupChanged: true},
			[]event.Type{event.BackupStateChanged, event.NewCountry, event.NewEnvironment},
		},
	} {
		var types []event.Type
		for _, e := range tidings.Of(done, c.shown) {
			types = append(types, e.Type)
			want := event.Event{
				ID: challenge.EventID("chl-1", e.Type), Type: e.Type, Ceremony: "chl-1", Project: "pro-1", User: "usr-1", Environment: "env-1",
				Credential: "cre-1", CreatedMs: 7,
			}
			switch e.Type {
			case event.NewCountry:
				want.Origin = done.Origin
			case event.BackupStateChanged:
				want.Backup = &event.Backup{Stored: false, Received: true}
			}
			if diff := cmp.Diff(want, e); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if diff := cmp.Diff(c.want, types); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAnEnvironmentIsNewOnce(t *testing.T) {
	t.Parallel()
	a := &account.Account{Environments: []account.Environment{{ID: "env-1"}}}
	if tidings.IsNew(a, "env-1") || tidings.IsNew(a, "") || !tidings.IsNew(a, "env-2") {
		t.Error("env-1 is known, none is none, env-2 is new")
	}
}

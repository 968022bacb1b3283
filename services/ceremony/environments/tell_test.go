package environments_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/environments"
)

func TestAnEventTellsOfAnAddressWhatIsKept(t *testing.T) {
	t.Parallel()
	detected := environments.Device{OS: "macOS", Browser: "Safari"}
	for name, tc := range map[string]struct {
		of   event.Type
		from string
		form address.Form
		want event.Event
	}{
		"a login, truncated": {
			event.LoginCompleted, "203.0.113.9:4711", address.Truncated,
			event.Event{
				Client: &event.Client{Address: "203.0.113.0", OS: "macOS", Browser: "Safari"},
				Origin: &event.Origin{Address: "203.0.113.0", Network: "203.0.113.0/24"},
			},
		},
		"a creation, whole": {
			event.AppendCompleted, "203.0.113.9", address.Full,
			event.Event{
				Client: &event.Client{Address: "203.0.113.9", OS: "macOS", Browser: "Safari"},
				Origin: &event.Origin{Address: "203.0.113.9", Network: "203.0.113.0/24"},
			},
		},
		"what was refused has no origin": {
			event.LoginRefused, "203.0.113.9", address.Truncated,
			event.Event{Client: &event.Client{Address: "203.0.113.0", OS: "macOS", Browser: "Safari"}},
		},
		"nor has who told no address": {
			event.LoginCompleted, "", address.Full, event.Event{Client: &event.Client{OS: "macOS", Browser: "Safari"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := event.Event{Type: tc.of}
			tc.want.Type = tc.of
			environments.Tell(&got, &project.Project{}, rest.ClientInformation{RemoteAddress: tc.from}, detected, tc.form)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

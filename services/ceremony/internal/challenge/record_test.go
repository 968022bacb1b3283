package challenge

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func TestALoginOfferCarriesTheWholeRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		data, err := json.Marshal(rapid.MapOf(text, text).Draw(t, "data"))
		if err != nil {
			t.Fatal(err)
		}
		want := Record{
			ID:          ident.ChallengeID(text.Draw(t, "id")),
			Value:       text.Draw(t, "value"),
			Type:        rest.PasskeyChallengeTypeAuthenticate,
			Status:      rest.PasskeyChallengeStatusPending,
			Project:     "pro-1",
			User:        "usr-1",
			Process:     text.Draw(t, "process"),
			RPID:        text.Draw(t, "rp id"),
			Origins:     rapid.SliceOfN(text, 1, 3).Draw(t, "origins"),
			Created:     rapid.Int64().Draw(t, "created"),
			Expires:     rapid.Int64().Draw(t, "expires"),
			Session:     Session{Format: text.Draw(t, "format"), Data: data},
			Decision:    ident.DecisionID(text.Draw(t, "decision")),
			Environment: ident.EnvironmentID(text.Draw(t, "environment")),
			Route:       event.Route(text.Draw(t, "route")),
			OS: text.Draw(
				t, "os",
			),
			OSVersion:      text.Draw(t, "os version"),
			Browser:        text.Draw(t, "browser"),
			BrowserVersion: text.Draw(t, "browser version"),
		}
		offer := want.offer(event.Event{
			ID:          "pke-1",
			Project:     want.Project,
			User:        want.User,
			Type:        event.LoginOffered,
			Process:     want.Process,
			Environment: want.Environment,
			Decision:    want.Decision,
		})
		// Through the log.
		raw, err := json.Marshal(offer)
		if err != nil {
			t.Fatal(err)
		}
		offer = event.Offer{}
		if err := json.Unmarshal(raw, &offer); err != nil {
			t.Fatal(err)
		}
		got, err := fromOffer(offer)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON := cmp.Comparer(func(a, b json.RawMessage) bool {
			var x, y map[string]string
			return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
		})
		if diff := cmp.Diff(want, got, sameJSON); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAnOfferThatCarriesSomethingElseIsAnError(t *testing.T) {
	t.Parallel()
	for _, pending := range []string{"", "[]", `{"session":1}`, `{"rpID":`} {
		if _, err := fromOffer(event.Offer{Pending: json.RawMessage(pending)}); err == nil {
			t.Errorf("%q was taken for a challenge", pending)
		}
	}
}

package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

func TestWhatWasForgottenOfAnEnvironmentNoLongerCounts(t *testing.T) {
	t.Parallel()
	forgotten := func(at time.Duration) entry { return wire(at, event.EnvironmentForgotten, "") }
	forgot := func(at time.Duration, p history.Pair) history.Pair {
		p.ForgottenMs = now.Add(at).UnixMilli()
		return p
	}
	madeHere := []account.Credential{passkey("1", 3*day, here)}
	runFold(t, []foldCase{
		{
			name: "failures before it",
			log:  entries(fail(-3*day, event.Local), fail(-2*day, event.CDA), wire(-2*day, event.LoginNoCredentials, "p"), forgotten(-day)),
			want: forgot(-day, history.Pair{}),
		},
		{
			name: "a success before it",
			log:  entries(completed(-2*day, event.Local, "cre-1", "p", "c"), forgotten(-day)),
			want: forgot(-day, history.Pair{}),
		},
		{
			name:     "that a passkey was created here",
			log:      entries(created(-3*day, "cre-1", "p"), forgotten(-day)),
			passkeys: madeHere,
			want:     forgot(-day, history.Pair{}),
		},
		{
			name: "that the client said that it holds one",
			log:  entries(wire(-2*day, event.AppendCredentialExists, "p"), forgotten(-day)),
			want: forgot(-day, history.Pair{}),
		},
		{
			name: "what happened in the same millisecond",
			log:  entries(fail(-day, event.Local), forgotten(-day)),
			want: forgot(-day, history.Pair{}),
		},
		{
			name: "what happens afterwards counts",
			log:  entries(fail(-2*day, event.Local), forgotten(-day), fail(-time.Hour, event.Local)),
			want: forgot(-day, history.Pair{LocalStreak: 1, LastFailedRoute: event.Local}),
		},
		{
			name: "so does a passkey that is used again",
			log:  entries(created(-3*day, "cre-1", "p"), forgotten(-day), completed(-time.Hour, event.Local, "cre-1", "q", "c")),
			want: forgot(-day, history.Pair{Positive: true, LastRoute: event.Local, Proven: one}),
		},
		{
			name: "the last time counts",
			log:  entries(fail(-4*day, event.Local), forgotten(-3*day), fail(-2*day, event.Local), forgotten(-day)),
			want: forgot(-day, history.Pair{}),
		},
		{
			name: "another environment is remembered",
			log:  entries(fail(-2*day, event.Local), forgotten(-day).in(away)),
			want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local},
		},
		{
			name: "a bar of this environment stays",
			log:  entries(wire(-2*day, event.UserLoginBlacklisted, ""), forgotten(-day)),
			want: history.Blacklist{Login: true},
		},
		{
			name: "declines of the account stay",
			log:  entries(skip(-2*day, event.KindDefault), forgotten(-day)),
			want: history.Append{Default: history.Nudge{Declines: 1}},
		},
	})
}

// To forget is to know no event of the environment that is not younger, nor that a passkey was made there. That a ceremony was finished is
// no memory of the environment: nobody failed then.
func TestAForgottenEnvironmentIsAsOneThatWasNeverSeen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, events := drawInput(t)
		at := now.UnixMilli() - rapid.SampledFrom([]int64{0, 1000, 3_600_000, 90 * 86_400_000}).Draw(t, "forgotten")
		forgotten := event.Event{ID: "pke-200", Type: event.EnvironmentForgotten, Environment: here, CreatedMs: at}
		with := in
		with.Events = event.NewSet(append(slices.Clone(events), forgotten))

		never := in
		never.Events = event.NewSet(slices.DeleteFunc(slices.Clone(with.Events.Live()), func(e event.Event) bool {
			return e.Environment == here && e.CreatedMs <= at && e.ID != forgotten.ID && e.Type != event.LoginCompleted
		}))
		moved := never.Events.Live()
		for i := range moved {
			if e := &moved[i]; e.Environment == here && e.CreatedMs <= at && e.Type == event.LoginCompleted {
				e.Environment = away
			}
		}
		never.Events = event.NewSet(moved)
		never.Credentials = slices.Clone(in.Credentials)
		for i := range never.Credentials {
			if c := &never.Credentials[i]; c.Environment == here && c.CreatedMs <= at {
				c.Environment = ident.EnvironmentID("")
			}
		}
		if diff := cmp.Diff(history.Fold(never).Pair, history.Fold(with).Pair); diff != "" {
			t.Fatal(diff)
		}
	})
}

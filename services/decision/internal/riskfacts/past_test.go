package riskfacts_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/ladder"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

func anyEvent(t *rapid.T) event.Event {
	e := success(
		rapid.StringMatching(`[a-z]{6}`).Draw(t, "id"),
		rapid.SampledFrom([]time.Duration{
			-time.Hour, 0, time.Hour, 30*day - time.Millisecond, 30 * day, 31 * day, 180*day - time.Millisecond, 180 * day, 200 * day,
		}).Draw(t, "ago"),
		rapid.SampledFrom([]place.Place{{}, {Country: "DE"}, {ASN: 64501}, berlin(), munich(), saoPaulo()}).Draw(t, "place"),
	)
	e.Type = rapid.SampledFrom([]event.Type{
		event.LoginCompleted, event.LoginCompleted, event.AppendCompleted, event.LoginError, event.EnvironmentForgotten,
	}).Draw(t, "type")
	e.Environment = rapid.SampledFrom([]ident.EnvironmentID{"", "env-1", "env-2", "env-3"}).Draw(t, "environment")
	e.Origin.Network = rapid.SampledFrom([]string{"", "203.0.113.0/24", "198.51.100.0/24"}).Draw(t, "network")
	e.Credential = rapid.SampledFrom([]string{"", "cre-1", "cre-2"}).Draw(t, "credential")
	return e
}

// seen is how a value stands to those of successes, looked through one by one.
func seen[T comparable](in *riskfacts.Input, is T, of func(*event.Event) T) facts.Familiarity {
	var none T
	some, found := false, false
	for _, e := range in.Events.Successes() {
		if was := of(e); e.CreatedMs > before(180*day) && was != none {
			some, found = true, found || was == is
		}
	}
	switch {
	case is == none || !some:
		return facts.FamiliarUnknown
	case found:
		return facts.FamiliarSeen
	default:
		return facts.FamiliarNew
	}
}

func TestPropertyWhatThePastTellsIsWhatItsEventsTellOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := input(rapid.SliceOfN(rapid.Custom(anyEvent), 0, 12).Draw(t, "events")...)
		in.Place = rapid.SampledFrom([]place.Place{{}, berlin(), saoPaulo()}).Draw(t, "now at")
		in.Environment = rapid.SampledFrom([]ident.EnvironmentID{"", "env-1", "env-2"}).Draw(t, "now in")
		in.Account.Credentials = []account.Credential{{ID: "cre-1", LastUsedMs: rapid.SampledFrom([]int64{0, before(32 * day)}).Draw(t, "used")}}
		until, used, first := int64(0), in.Account.Credentials[0].LastUsedMs, int64(0)
		for _, e := range in.Events.All() {
			if e.Type == event.EnvironmentForgotten && e.Environment == in.Environment {
				until = max(until, e.CreatedMs)
			}
		}
		successes := 0
		var last *event.Event
		for _, e := range in.Events.Successes() {
			if e.CreatedMs > before(180*day) {
				successes++
			}
			if e.CreatedMs > before(30*day) && e.Origin.Place().Point != nil {
				last = e
			}
			if e.Type == event.LoginCompleted && e.Credential == "cre-1" {
				used = max(used, e.CreatedMs)
			}
			if first == 0 && in.Environment != "" && e.Environment == in.Environment && e.CreatedMs > until {
				first = e.CreatedMs
			}
		}
		hours := func(ms int64) int {
			if ms == 0 {
				return ladder.Never
			}
			return ladder.Hours(int64(now.Sub(time.UnixMilli(ms)) / time.Hour))
		}
		want := facts.Familiar{
			Environment: seen(in, in.Environment, func(e *event.Event) ident.EnvironmentID {
				if e.Environment == in.Environment && e.CreatedMs <= until {
					return ""
				}
				return e.Environment
			}),
			Network:   seen(in, "203.0.113.0/24", func(e *event.Event) string { return e.Origin.Network }),
			Country:   seen(in, in.Place.Country, func(e *event.Event) string { return e.Origin.Place().Country }),
			ASN:       seen(in, in.Place.ASN, func(e *event.Event) int { return e.Origin.Place().ASN }),
			Successes: ladder.Count(successes),
		}
		f := riskfacts.Find(in)
		if *f.Familiar != want {
			t.Fatalf("familiar is %+v, not %+v", *f.Familiar, want)
		}
		if (last != nil && in.Place.Point != nil) != f.Travel.Located || f.Travel.Located && f.Travel.Hours != hours(last.CreatedMs) {
			t.Fatalf("travel is %+v, from %+v", *f.Travel, last)
		}
		if got := riskfacts.FirstUsed(in); got != hours(first) {
			t.Fatalf("first used %d hours ago, not %d", got, hours(first))
		}
		passkeys, _ := riskfacts.Passkeys(in, []riskfacts.Passkey{{Credential: &in.Account.Credentials[0]}})
		if got := passkeys[0].UsedHours; got != hours(used) {
			t.Fatalf("used %d hours ago, not %d", got, hours(used))
		}
	})
}

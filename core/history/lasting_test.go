package history_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

// moment draws one at which something may end: some window of an event, or something that expires, to the millisecond.
func moment(t *rapid.T, in *history.Input) time.Time {
	at := now.UnixMilli()
	if all := in.Events.All(); len(all) > 0 && rapid.Bool().Draw(t, "of an event") {
		e := rapid.SampledFrom(all).Draw(t, "event")
		at = e.CreatedMs
		if e.Expires != 0 && rapid.Bool().Draw(t, "when it expires") {
			at = e.ExpiresMs()
		}
	}
	p := &in.Parameters
	span := rapid.SampledFrom([]int64{
		0, p.Default.CooldownSeconds, p.AfterError.CooldownSeconds, p.ConditionalCreate.CooldownSeconds, p.CountWindowSeconds,
		p.StreakWindowSeconds, p.PositiveStreakWindowSeconds, p.PositiveSeconds, p.ProcessSeconds, -p.ClockSkewSeconds, p.DoubtSeconds,
		24 * 3600, 30 * 24 * 3600,
	}).Draw(t, "span")
	return time.UnixMilli(at + span*1000 + rapid.Int64Range(-1, 1).Draw(t, "ms"))
}

// TestPropertyARememberedFoldIsThatOfNow asks of one set, and of what becomes of it, at times in any order, by several owners.
func TestPropertyARememberedFoldIsThatOfNow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, _ := drawInput(t)
		in.Parameters.NudgeBudget = history.NudgeBudget{Day: 1, Month: 2}
		in.Parameters.ConditionalCreate.PerProcess = rapid.Bool().Draw(t, "per process")
		strict := in.Parameters
		strict.StreakThreshold, strict.PositiveSeconds = 1, strict.PositiveSeconds/2
		owners := []struct {
			owner      *history.Owner
			parameters history.Parameters
			created    func(*account.Credential) event.Route
		}{
			{&history.Owner{}, in.Parameters, nil},
			{&history.Owner{}, strict, func(c *account.Credential) event.Route {
				if c.BackupEligible {
					return event.CDA
				}
				return event.SecurityKey
			}},
		}
		for range rapid.IntRange(2, 12).Draw(t, "questions") {
			switch rapid.IntRange(0, 5).Draw(t, "change") {
			case 0:
				e := drawEvent(t)
				e.ID = ident.EventID("new-" + string(e.ID))
				in.Events = in.Events.With(e)
			case 1:
				in.Environment = rapid.SampledFrom([]ident.EnvironmentID{"", here, away, "env-1", "env-2", "env-3"}).Draw(t, "environment")
			case 2:
				in.Process = rapid.SampledFrom([]string{"", "p0", "p1"}).Draw(t, "process")
				in.Offers = rapid.SliceOfN(rapid.Custom(drawEvent), 0, 2).Draw(t, "offers")
			case 3:
				in.Credentials = slices.Clone(in.Credentials)
				in.Credentials[0].BackupEligible = rapid.Bool().Draw(t, "eligible")
				in.Credentials[0].Environment = rapid.SampledFrom([]ident.EnvironmentID{here, away}).Draw(t, "made in")
				in.Credentials[0].LastUsedMs++
			case 4:
				in.Deleted = rapid.SampledFrom([][]account.Tombstone{nil, {{ID: "cre-2"}}, {{ID: "cre-3"}}}).Draw(t, "deleted")
			}
			if rapid.Bool().Draw(t, "at another time") {
				in.Now = moment(t, &in)
			}
			by := rapid.SampledFrom(owners).Draw(t, "owner")
			in.Parameters, in.Created, in.Owner = by.parameters, by.created, nil
			want := history.Fold(in)
			in.Owner = by.owner
			if diff := cmp.Diff(want, history.Fold(in)); diff != "" {
				t.Fatalf("at %s (-anew +remembered)\n%s", in.Now, diff)
			}
		}
	})
}

func TestARememberedFoldReadsNoEventAgain(t *testing.T) {
	t.Parallel()
	in, routes := growing(2000), 0
	in.Created = func(c *account.Credential) event.Route { routes++; return c.CreatedBy() }
	for _, c := range []struct {
		when  string
		later time.Duration
		owner *history.Owner
		anew  bool
	}{
		{"of no owner", 0, nil, true},
		{"the first of an owner", 0, &history.Owner{}, true},
		{"a second later", time.Second, nil, false},
		{"a month later", 30 * day, nil, true},
	} {
		if c.owner != nil {
			in.Owner = c.owner
		}
		in.Now, routes = in.Now.Add(c.later), 0
		if history.Fold(in); (routes > 0) != c.anew {
			t.Errorf("%s: folded anew is %v", c.when, routes > 0)
		}
	}
}

func TestWhoeverAsksAtOnceGetsTheSameFold(t *testing.T) {
	t.Parallel()
	in := growing(50)
	want := history.Fold(in)
	in.Owner = &history.Owner{}
	var asking sync.WaitGroup
	for caller := range 4 {
		asking.Go(func() {
			for i := range 20 {
				own := in
				own.Now = in.Now.Add(time.Duration(caller*i) * time.Millisecond)
				if diff := cmp.Diff(want, history.Fold(own)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	asking.Wait()
}

// growing is of a user who signs in every other hour, and fails now and then.
func growing(events int) history.Input {
	in := history.Input{
		Credentials: []account.Credential{passkey("1", 90*day, here)}, Environment: here, Process: "p0", Now: now,
		Parameters: defaultParameters(),
	}
	var all []event.Event
	for i := range events {
		e := event.Event{
			ID: ident.EventID("e" + string(rune('0'+i%10)) + string(rune('a'+i/10%26)) + string(rune('a'+i/260))), Type: event.LoginCompleted,
			CreatedMs: now.UnixMilli() - int64(i)*int64(2*time.Hour/time.Millisecond) - 1_000_000, Environment: here, Credential: "cre-1",
			Route: event.Local,
		}
		if i%7 == 3 {
			e.Type = event.LoginError
		}
		all = append(all, e)
	}
	in.Events = event.NewSet(all)
	return in
}

func BenchmarkGrowth(b *testing.B) {
	for name, events := range map[string]int{"20 events": 20, "2000 events": 2000} {
		for of, owner := range map[string]*history.Owner{"anew": nil, "remembered": {}} {
			b.Run(name+"/"+of, func(b *testing.B) {
				in := growing(events)
				in.Owner = owner
				history.Fold(in)
				b.ReportAllocs()
				for b.Loop() {
					history.Fold(in)
				}
			})
		}
	}
}

package fold_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/adoption/internal/fold"
	"github.com/keyward/keyward/services/decision/internal/outline"
)

const madeMs = 1_795_348_800_000

func TestWhatADecisionMeans(t *testing.T) {
	t.Parallel()
	about := outline.Outline{
		Time: time.UnixMilli(madeMs), Project: "pro-1", Action: "login", Rule: "L1", Tag: "tag", Revision: "r", Arm: "canary",
		Said: outline.Said{OS: "ios", Browser: "safari", Route: "local"},
	}
	want := fold.Fact{AtMs: madeMs, Outcome: fold.Asked, TookMs: -1, Dimensions: fold.Dimensions{
		Project: "pro-1", Action: "login", Route: "local", Rule: "L1", Tag: "tag", OS: "ios", Browser: "safari", Revision: "r", Arm: "canary",
	}}
	asked, offered := fold.OfDecision(&about)
	if diff := cmp.Diff(&want, asked); diff != "" || offered != nil {
		t.Errorf("one that denied: %s%+v", diff, offered)
	}
	about.Allow = true
	want.Outcome = fold.Offered
	if _, offered := fold.OfDecision(&about); cmp.Diff(&want, offered) != "" {
		t.Errorf("one that allowed: %+v", offered)
	}
	for _, action := range []string{"risk", "rollout"} {
		about.Action = action
		if asked, offered := fold.OfDecision(&about); asked != nil || offered != nil {
			t.Errorf("%s counts", action)
		}
	}
}

func TestWhatAnEventMeans(t *testing.T) {
	t.Parallel()
	decided := ident.NewDecisionID(time.UnixMilli(madeMs))
	of := &fold.Dimensions{Project: "pro-1", Action: "login", Route: "local", Rule: "L1", OS: "ios", Arm: "base"}
	for name, c := range map[string]struct {
		e    event.Event
		of   *fold.Dimensions
		want fold.Fact
	}{
		"a login whose decision is known, by the route that it took": {
			event.Event{Type: event.LoginCompleted, Route: event.CDA, Decision: decided, Use: &event.Use{BackedUp: true}}, of,
			fold.Fact{Outcome: fold.Completed, TookMs: 4000, Dimensions: fold.Dimensions{
				Project: "pro-1", Action: "login", Route: "cda", Rule: "L1", OS: "ios", Arm: "base", Class: "synced",
			}},
		},
		"a login of which nothing is known but itself": {
			event.Event{
				Type: event.LoginCompleted, Route: event.SecurityKey, Client: &event.Client{OS: "linux", Browser: "edge"},
				Arm: &event.Arm{Side: event.Canary},
			}, nil,
			fold.Fact{Outcome: fold.Completed, TookMs: -1, Dimensions: fold.Dimensions{
				Action: "login", Route: "security-key", OS: "linux", Browser: "edge", Arm: "canary", Class: "security-key",
			}},
		},
		"a creation": {
			event.Event{Type: event.AppendCompleted, Kind: event.KindAuto, Attachment: "platform"}, nil,
			fold.Fact{Outcome: fold.Completed, TookMs: -1, Dimensions: fold.Dimensions{Action: "append", Route: "auto", Class: "platform"}},
		},
		"an abort":    {event.Event{Type: event.LoginExplicitAbort}, of, fold.Fact{Outcome: fold.Declined, TookMs: -1, Dimensions: *of}},
		"another way": {event.Event{Type: event.LoginOneTapSwitch}, of, fold.Fact{Outcome: fold.FellBack, TookMs: -1, Dimensions: *of}},
		"no passkey": {
			event.Event{Type: event.LoginNoCredentials}, of,
			fold.Fact{Outcome: fold.Failed, Cause: "no-credentials", TookMs: -1, Dimensions: *of},
		},
		"a wrong counter": {
			event.Event{Type: event.LoginRefused, Refused: &event.Refused{Step: "counter"}}, of,
			fold.Fact{Outcome: fold.Failed, Cause: "refused-counter", TookMs: -1, Dimensions: *of},
		},
		"a password": {
			event.Event{Type: event.AuthLogin, Auth: &event.Auth{Method: "password", Status: "success"}}, nil,
			fold.Fact{Outcome: fold.OtherMeans, Cause: "password", TookMs: -1, Dimensions: fold.Dimensions{Action: "login"}},
		},
	} {
		c.e.CreatedMs, c.want.AtMs = madeMs+4000, madeMs+4000
		got, counts := fold.OfEvent(&c.e, c.of)
		if diff := cmp.Diff(c.want, got); !counts || diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	for name, e := range map[string]event.Event{
		"a passkey that a caller reports": {Type: event.AuthLogin, Auth: &event.Auth{Method: "passkey", Status: "success"}},
		"a password that was wrong":       {Type: event.AuthLogin, Auth: &event.Auth{Method: "password", Status: "failure"}},
		"a user":                          {Type: event.UserCreated}, "an offer": {Type: event.AppendOffered},
	} {
		if got, counts := fold.OfEvent(&e, nil); counts {
			t.Errorf("%s counts as %+v", name, got)
		}
	}
}

func TestAQuantileIsWithinTheBucketThatItIsIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Int64Range(0, 400_000), 1, 50).Draw(t, "took")
		buckets := map[int]int64{0: 3}
		for _, ms := range took {
			buckets[fold.Bucket(ms)]++
		}
		share := rapid.Float64Range(0.01, 1).Draw(t, "share")
		got, known := fold.Quantile(buckets, share)
		below := 0
		for _, ms := range took {
			if fold.Bucket(ms) < fold.Bucket(got) {
				below++
			}
		}
		if !known || float64(below) > share*float64(len(took))+1e-9 {
			t.Fatalf("%d of %d are below %d", below, len(took), got)
		}
	})
	if _, known := fold.Quantile(map[int]int64{0: 7}, 0.5); known {
		t.Error("nothing has a middle")
	}
}

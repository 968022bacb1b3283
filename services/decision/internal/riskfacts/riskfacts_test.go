package riskfacts_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/ladder"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

// now is a Wednesday.
var now = time.Date(2026, 11, 25, 14, 59, 59, 0, time.UTC)

const day = 24 * time.Hour

func before(d time.Duration) int64 { return now.Add(-d).UnixMilli() }

func login(id string, ago time.Duration, environment ident.EnvironmentID, network string) event.Event {
	return event.Event{
		ID: ident.EventID(id), Type: event.LoginCompleted, CreatedMs: before(ago), Environment: environment,
		Origin: &event.Origin{Address: network, Network: network},
	}
}

// named is one in a network that is kept as a token.
func named(id string, ago time.Duration, version int, token string) event.Event {
	e := login(id, ago, "env-1", token)
	e.Sighted = &event.Sighted{Network: token, KeyVersion: version}
	return e
}

func asks(version int, token string) func(*riskfacts.Input) {
	return func(in *riskfacts.Input) { in.Sighted = &event.Sighted{Network: token, KeyVersion: version} }
}

func input(events ...event.Event) *riskfacts.Input {
	return &riskfacts.Input{
		Stage: facts.LoginStart, Project: "pro-1", Account: &account.Account{Status: account.StatusActive, CreatedMs: before(400 * day)},
		Events: event.NewSet(events), Environment: "env-1", Address: "203.0.113.10", Client: &facts.Client{}, Now: now,
	}
}

func TestWhatIsFamiliar(t *testing.T) {
	t.Parallel()
	const here, office = "203.0.113.0/24", "198.51.100.0/24"
	old := event.Event{
		ID: "pke-1", Type: event.LoginCompleted, CreatedMs: before(day), Environment: "env-1",
		Client: &event.Client{Address: "203.0.113.77:4711"},
	}
	for name, tc := range map[string]struct {
		events []event.Event
		change func(*riskfacts.Input)
		want   facts.Familiar
	}{
		"a first login is new in no way": {
			want: facts.Familiar{Environment: "unknown", Network: "unknown"},
		},
		"where the account has logged in it is known": {
			events: []event.Event{login("pke-1", day, "env-1", here)},
			want:   facts.Familiar{Environment: "seen", Network: "seen", Successes: 1},
		},
		"where it has not it is new": {
			events: []event.Event{login("pke-1", day, "env-2", office)},
			want:   facts.Familiar{Environment: "new", Network: "new", Successes: 1},
		},
		"a browser without a handle is not known, and not new": {
			events: []event.Event{login("pke-1", day, "env-2", here)}, change: func(in *riskfacts.Input) { in.Environment = "" },
			want: facts.Familiar{Environment: "unknown", Network: "seen", Successes: 1},
		},
		"an address that nobody told is in no network": {
			events: []event.Event{login("pke-1", day, "env-1", here)}, change: func(in *riskfacts.Input) { in.Address = "" },
			want: facts.Familiar{Environment: "seen", Network: "unknown", Successes: 1},
		},
		"a success counts until it is 180 days old": {
			events: []event.Event{login("pke-1", 180*day-time.Millisecond, "env-1", here)},
			want:   facts.Familiar{Environment: "seen", Network: "seen", Successes: 1},
		},
		"and no longer": {
			events: []event.Event{login("pke-1", 180*day, "env-1", here)},
			want:   facts.Familiar{Environment: "unknown", Network: "unknown"},
		},
		"what the user had forgotten of a browser is not known there": {
			events: []event.Event{
				login("pke-1", 2*day, "env-1", here), login("pke-2", 2*day, "env-2", here),
				{ID: "pke-3", Type: event.EnvironmentForgotten, CreatedMs: before(day), Environment: "env-1"},
			},
			want: facts.Familiar{Environment: "new", Network: "seen", Successes: 2},
		},
		"an event of earlier versions tells its network by the whole address": {
			events: []event.Event{old}, want: facts.Familiar{Environment: "seen", Network: "seen", Successes: 1},
		},
		"a network that is kept as a token is told by it": {
			events: []event.Event{named("pke-1", day, 0, "aaa")}, change: asks(0, "aaa"),
			want: facts.Familiar{Environment: "seen", Network: "seen", Successes: 1},
		},
		"and so is another": {
			events: []event.Event{named("pke-1", day, 0, "aaa")}, change: asks(0, "bbb"),
			want: facts.Familiar{Environment: "seen", Network: "new", Successes: 1},
		},
		"tokens of another version of the key tell nothing": {
			events: []event.Event{named("pke-1", day, 0, "aaa")}, change: asks(2, "ccc"),
			want: facts.Familiar{Environment: "seen", Network: "unknown", Successes: 1},
		},
		"nor that a network is new which is in none of this one": {
			events: []event.Event{named("pke-1", 2*day, 0, "aaa"), named("pke-2", day, 2, "ddd")}, change: asks(2, "ccc"),
			want: facts.Familiar{Environment: "seen", Network: "unknown", Successes: 2},
		},
		"but for those that are forgotten": {
			events: []event.Event{named("pke-1", 180*day, 0, "aaa"), named("pke-2", day, 2, "ddd")}, change: asks(2, "ccc"),
			want: facts.Familiar{Environment: "seen", Network: "new", Successes: 1},
		},
		"what was kept as text before is compared as text": {
			events: []event.Event{login("pke-1", 2*day, "env-1", here), named("pke-2", day, 0, "aaa")}, change: asks(0, "bbb"),
			want: facts.Familiar{Environment: "seen", Network: "seen", Successes: 2},
		},
		"which nobody can where the text is not known any more": {
			events: []event.Event{login("pke-1", 2*day, "env-1", here), named("pke-2", day, 0, "aaa")},
			change: func(in *riskfacts.Input) { asks(0, "bbb")(in); in.Address = "" },
			want:   facts.Familiar{Environment: "seen", Network: "unknown", Successes: 2},
		},
		"an address without a token is in no network that has one": {
			events: []event.Event{named("pke-1", day, 0, "aaa")}, change: func(in *riskfacts.Input) { in.Address = "127.0.0.1" },
			want: facts.Familiar{Environment: "seen", Network: "unknown", Successes: 1},
		},
		"what failed makes nothing familiar": {
			events: []event.Event{{ID: "pke-1", Type: event.LoginRefused, CreatedMs: before(day), Environment: "env-1"}},
			want:   facts.Familiar{Environment: "unknown", Network: "unknown"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(tc.events...)
			if tc.change != nil {
				tc.change(in)
			}
			tc.want.Country, tc.want.ASN = "unknown", "unknown" // nothing is located
			if diff := cmp.Diff(&tc.want, riskfacts.Find(in).Familiar); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhereAndWhenARequestComesFrom(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]facts.Request{
		"203.0.113.10":            {Family: "ipv4", Scope: "public"},
		"[::ffff:203.0.113.10]:1": {Family: "ipv4", Scope: "public"},
		"192.168.3.4, 10.0.0.1":   {Family: "none", Scope: "none"},
		"100.64.3.3":              {Family: "ipv4", Scope: "shared"},
		"100.128.0.1":             {Family: "ipv4", Scope: "public"},
		"127.0.0.1":               {Family: "ipv4", Scope: "special"},
		"2001:db8:1:2::99":        {Family: "ipv6", Scope: "public"},
		"fd00::1":                 {Family: "ipv6", Scope: "private"},
		"fe80::1%eth0":            {Family: "ipv6", Scope: "special"},
		"somewhere":               {Family: "none", Scope: "none"},
		"":                        {Family: "none", Scope: "none"},
	} {
		in := input()
		in.Address = from
		want.HourUTC, want.WeekdayUTC, want.Bot = 14, 3, "none"
		want.Told, want.Located = &facts.Told{Hour: 14, Weekday: 3}, &facts.Located{}
		if diff := cmp.Diff(want, riskfacts.Find(in).Request); diff != "" {
			t.Errorf("%q (-want +got)\n%s", from, diff)
		}
	}
	in := input()
	in.Now = time.Date(2026, 11, 30, 0, 30, 0, 0, time.FixedZone("Berlin", 3600))
	if got := riskfacts.Find(in).Request; got.HourUTC != 23 || got.WeekdayUTC != 7 {
		t.Errorf("half past midnight of a Monday in Berlin is %+v in UTC", got)
	}
}

func TestHoursAreToldByTheClockOfAZoneToo(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		now           time.Time
		hour, weekday int
	}{
		"the last hour of a Sunday is the first of a Monday there": {time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC), 0, 1},
		"in summer it is two hours ahead":                          {time.Date(2026, 7, 1, 5, 0, 0, 0, time.UTC), 7, 3},
	} {
		in := input()
		in.Now, in.Zone = tc.now, berlin
		if got := riskfacts.Find(in).Request; got.Hour != tc.hour || got.Weekday != tc.weekday {
			t.Errorf("%s: %d, %d", name, got.Hour, got.Weekday)
		}
	}
}

func TestTheNetworkOfAnAddressIsToldToRulesThatReadIt(t *testing.T) {
	t.Parallel()
	in := input()
	if found := riskfacts.Find(in); found.Request.Network != nil {
		t.Errorf("without a reader it is %s", *found.Request.Network)
	}
	in.Network = true
	for from, want := range map[string]string{
		"203.0.113.10:443": "203.0.113.0/24", "[2001:db8:1:2::99]:443": "2001:db8:1::/48", "::ffff:203.0.113.9": "203.0.113.0/24", "": "",
	} {
		in.Address = from
		if got := *riskfacts.Find(in).Request.Network; got != want {
			t.Errorf("%s is in %q, want %q", from, got, want)
		}
	}
}

func TestWhoHasALabelAndWhoHasNotIsToldOfThoseThatThereAre(t *testing.T) {
	t.Parallel()
	in := input()
	in.Labels, in.Account.Labels = []string{"admin", "staff"}, []string{"intern", "staff"}
	want := facts.Labels{{Name: "admin"}, {Name: "staff", Has: true}}
	if diff := cmp.Diff(want, riskfacts.Find(in).User.Labels); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	in.Account = nil
	if diff := cmp.Diff(facts.Labels{{Name: "admin"}, {Name: "staff"}}, riskfacts.Find(in).User.Labels); diff != "" {
		t.Errorf("nobody has none (-want +got)\n%s", diff)
	}
}

func TestHowLongAnAccountHasUsedAnEnvironment(t *testing.T) {
	t.Parallel()
	const here = "203.0.113.0/24"
	for name, tc := range map[string]struct {
		events []event.Event
		want   int
	}{
		"never":                   {[]event.Event{login("pke-1", day, "env-2", here)}, ladder.Never},
		"since its first success": {[]event.Event{login("pke-1", 200*day, "env-1", here), login("pke-2", day, "env-1", here)}, 4320},
		"since it was forgotten last": {
			[]event.Event{login("pke-1", 200*day, "env-1", here), forgetting(3 * day), login("pke-2", day, "env-1", here)}, 24,
		},
		"what failed is no use": {
			[]event.Event{{ID: "pke-1", Type: event.LoginRefused, CreatedMs: before(day), Environment: "env-1"}}, ladder.Never,
		},
	} {
		if got := riskfacts.FirstUsed(input(tc.events...)); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func forgetting(ago time.Duration) event.Event {
	return event.Event{ID: "pke-9", Type: event.EnvironmentForgotten, CreatedMs: before(ago), Environment: "env-1"}
}

func TestHowFarAClientSaysThatNobodySitsInFrontOfIt(t *testing.T) {
	t.Parallel()
	for want, client := range map[string]facts.Client{
		"none":       {Device: facts.DeviceTV},
		"automation": {Device: facts.DeviceBot, Webdriver: true},
		"headless":   {Device: facts.DeviceHeadless},
		"declared":   {Device: facts.DeviceBot},
		"tool":       {Device: facts.DeviceScript},
	} {
		in := input()
		in.Client = &client
		if got := riskfacts.Find(in).Request.Bot; got != want {
			t.Errorf("%+v is %s, want %s", client, got, want)
		}
	}
}

func TestWhatIsKnownOfTheUser(t *testing.T) {
	t.Parallel()
	never := alerts(func(*facts.Alerts) {})
	in := input()
	in.Account = &account.Account{
		Status: account.StatusActive, CreatedMs: before(400 * day),
		Credentials: []account.Credential{{CreatedMs: before(90 * day)}, {CreatedMs: before(59 * time.Minute)}},
		Deleted: []account.Tombstone{
			{CredentialID: []byte{1}, DeletedMs: before(9 * day)}, {CredentialID: []byte{2}, DeletedMs: before(3 * day)},
			{DeletedMs: before(day)}, // given up before there was a passkey
		},
	}
	want := &facts.User{Status: "active", AgeHours: 8760, Passkeys: 2, PasskeyAddedHours: 0, PasskeyRemovedHours: 72, Alerts: never}
	if diff := cmp.Diff(want, riskfacts.Find(in).User); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	in.Account = nil
	want = &facts.User{
		Status: "unknown", AgeHours: ladder.Never, PasskeyAddedHours: ladder.Never, PasskeyRemovedHours: ladder.Never, Alerts: never,
	}
	if diff := cmp.Diff(want, riskfacts.Find(in).User); diff != "" {
		t.Errorf("nobody (-want +got)\n%s", diff)
	}
}

func TestAMediationKnowsOfNoUser(t *testing.T) {
	t.Parallel()
	in := input(login("pke-1", day, "env-1", "203.0.113.0/24"))
	in.Stage = facts.MediationStart
	if f := riskfacts.Find(in); f.Familiar != nil || f.User != nil || f.Action != facts.PasskeyLogin {
		t.Errorf("%+v", f)
	}
}

func TestAStepIsWhatItMeans(t *testing.T) {
	t.Parallel()
	for hours, want := range map[int64]int{-1: 0, 0: 0, 1: 1, 3: 2, 23: 12, 24: 24, 36: 24, 8759: 4320, 1_000_000: 8760} {
		if got := ladder.Hours(hours); got != want {
			t.Errorf("%d hours are %d, want %d", hours, got, want)
		}
	}
	for n, want := range map[int]int{0: 0, 4: 3, 5: 5, 49: 20, 1000: 50} {
		if got := ladder.Count(n); got != want {
			t.Errorf("%d times are %d, want %d", n, got, want)
		}
	}
}

// Order and repetition of events change nothing, and one more success makes nothing new that was seen.
func TestPropertyWhatIsFamiliarIsAFunctionOfASetThatOnlyGrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		networks := []string{"203.0.113.0/24", "198.51.100.0/24", "2001:db8:1::/48"}
		draw := rapid.Custom(func(t *rapid.T) event.Event {
			return login(
				"pke-"+strconv.Itoa(rapid.IntRange(1, 30).Draw(t, "id")), time.Duration(rapid.IntRange(0, 200).Draw(t, "days"))*day,
				rapid.SampledFrom([]ident.EnvironmentID{"", "env-1", "env-2"}).Draw(t, "environment"),
				rapid.SampledFrom(networks).Draw(t, "network"),
			)
		})
		// An ID is one event.
		events := rapid.SliceOfNDistinct(draw, 0, 20, func(e event.Event) ident.EventID { return e.ID }).Draw(t, "events")
		found := riskfacts.Find(input(events...))
		shuffled := slices.Concat(rapid.Permutation(events).Draw(t, "order"), events)
		if diff := cmp.Diff(found, riskfacts.Find(input(shuffled...))); diff != "" {
			t.Fatalf("in another order, twice\n%s", diff)
		}
		more := riskfacts.Find(input(append(events, login("pke-99", day, "env-2", networks[1]))...))
		if found.Familiar.Environment == facts.FamiliarSeen && more.Familiar.Environment != facts.FamiliarSeen ||
			found.Familiar.Network == facts.FamiliarSeen && more.Familiar.Network != facts.FamiliarSeen {
			t.Fatalf("%+v became %+v", found.Familiar, more.Familiar)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	var events []event.Event
	for i := range 20 {
		events = append(events, login("pke-"+strconv.Itoa(i), time.Duration(i)*day, "env-2", "198.51.100.0/24"))
	}
	in := input(events...)
	in.Account.Credentials = make([]account.Credential, 3)
	riskfacts.Find(in)
	b.ReportAllocs()
	for b.Loop() {
		riskfacts.Find(in)
	}
}

func TestAlertsAreAsOldAsTheNewestEventOfTheirKind(t *testing.T) {
	t.Parallel()
	of := func(id string, kind event.Type, ago time.Duration) event.Event {
		return event.Event{ID: ident.EventID(id), Type: kind, CreatedMs: before(ago)}
	}
	got := riskfacts.Find(input(
		of("pke-1", event.PasskeyCounterRegressed, 50*day), of("pke-2", event.PasskeyCounterRegressed, 3*time.Hour),
	)).User.Alerts
	if diff := cmp.Diff(alerts(func(a *facts.Alerts) { a.CounterRegressedHours = 2 }), got); diff != "" {
		t.Error(diff)
	}
	got = riskfacts.Find(input(of("pke-1", event.PasskeyBackupChanged, 13*time.Hour))).User.Alerts
	if diff := cmp.Diff(alerts(func(a *facts.Alerts) { a.BackupEligibilityHours = 12 }), got); diff != "" {
		t.Error(diff)
	}
	got = riskfacts.Find(input(of("acs-1", event.AuthenticatorStatusChanged, 30*time.Hour))).User.Alerts
	if diff := cmp.Diff(alerts(func(a *facts.Alerts) { a.AuthenticatorStatusHours = new(24) }), got); diff != "" {
		t.Error(diff)
	}
}

// alerts are those of an account that nothing has happened to, but for what is changed.
func alerts(change func(*facts.Alerts)) *facts.Alerts {
	a := &facts.Alerts{CounterRegressedHours: ladder.Never, BackupEligibilityHours: ladder.Never, AuthenticatorStatusHours: new(ladder.Never)}
	a.FraudConfirmedHours = new(ladder.Never)
	change(a)
	return a
}

func TestAConfirmedFraudIsAnAlertUntilItIsTakenBack(t *testing.T) {
	t.Parallel()
	said := func(id string, decision ident.DecisionID, outcome event.Outcome, ago time.Duration) event.Event {
		return event.Event{
			ID: ident.EventID(id), Type: event.RiskFeedback, CreatedMs: before(ago), Decision: decision, Feedback: &event.Feedback{Outcome: outcome},
		}
	}
	for name, tc := range map[string]struct {
		events []event.Event
		want   int
	}{
		"nobody said anything":  {nil, ladder.Never},
		"a suspicion is none":   {[]event.Event{said("pke-1", "dec-1", event.FraudSuspected, day)}, ladder.Never},
		"somebody confirmed it": {[]event.Event{said("pke-1", "dec-1", event.FraudConfirmed, 2*day)}, 48},
		"the newest of two decisions": {
			[]event.Event{said("pke-1", "dec-1", event.FraudConfirmed, 9*day), said("pke-2", "dec-2", event.FraudConfirmed, day)},
			24,
		},
		"it was taken back later": {
			[]event.Event{said("pke-1", "dec-1", event.FraudConfirmed, 2*day), said("pke-2", "dec-1", event.Legitimate, day)},
			ladder.Never,
		},
		"it was taken back, and was true": {
			[]event.Event{said("pke-1", "dec-1", event.Legitimate, 2*day), said("pke-2", "dec-1", event.FraudConfirmed, day)},
			24,
		},
		"another decision was legitimate": {
			[]event.Event{said("pke-1", "dec-1", event.FraudConfirmed, 2*day), said("pke-2", "dec-2", event.Legitimate, day)},
			48,
		},
		"an event of a later version that does not say": {
			[]event.Event{{ID: "pke-1", Type: event.RiskFeedback, CreatedMs: before(day)}},
			ladder.Never,
		},
	} {
		if got := *riskfacts.Find(input(tc.events...)).User.Alerts.FraudConfirmedHours; got != tc.want {
			t.Errorf("%s: %d hours, not %d", name, got, tc.want)
		}
	}
}

func TestARequestIsToldByItsActionAndContext(t *testing.T) {
	t.Parallel()
	in := input()
	in.Stage = facts.Evaluate
	in.Asked = &riskfacts.Asked{Action: "payment"}
	if f := riskfacts.Find(in); f.Action != "payment" || f.Context != nil || f.ContextGiven == nil || *f.ContextGiven {
		t.Errorf("%+v", f)
	}
	in.Context = facts.Context{{Name: "externalScore", Value: int64(80)}}
	if f := riskfacts.Find(in); len(f.Context) != 1 || !*f.ContextGiven {
		t.Errorf("%+v", f)
	}
	in.Stage, in.Asked = facts.LoginStart, nil
	if f := riskfacts.Find(in); f.Action != facts.PasskeyLogin || len(f.Context) != 1 || !*f.ContextGiven {
		t.Errorf("a start with a context: %+v", f)
	}
}

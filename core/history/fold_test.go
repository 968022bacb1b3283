package history_test

import (
	"encoding/base64"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

const (
	day  = 24 * time.Hour
	here = ident.EnvironmentID("env-1")
	away = ident.EnvironmentID("env-7")
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// entry is an event with its time as an offset from now and its expiry likewise.
type entry struct {
	at      time.Duration
	e       event.Event
	expires *time.Duration
	deleted bool
}

func offered(at time.Duration, r event.Route, process, challenge string) entry {
	return entry{at: at, e: event.Event{Type: event.LoginOffered, Route: r, Process: process, Challenge: challenge, Environment: here}}
}

func completed(at time.Duration, r event.Route, credential, process, challenge string) entry {
	return entry{at: at, e: event.Event{Type: event.LoginCompleted, Route: r, Credential: credential, Process: process, Challenge: challenge, Ceremony: "done-" + ident.ChallengeID(challenge), Environment: here}}
}

func wire(at time.Duration, t event.Type, process string) entry {
	return entry{at: at, e: event.Event{Type: t, Process: process, Environment: here}}
}

func nudged(at time.Duration, k event.Kind, process string) entry {
	return entry{at: at, e: event.Event{Type: event.AppendOffered, Kind: k, Process: process, Environment: here}}
}

func created(at time.Duration, credential, process string) entry {
	return entry{at: at, e: event.Event{Type: event.AppendCompleted, Credential: credential, Process: process, Environment: here}}
}

func (n entry) expiring(in time.Duration) entry { n.expires = &in; return n }
func (n entry) removed() entry                  { n.deleted = true; return n }
func (n entry) in(env ident.EnvironmentID) entry {
	n.e.Environment = env
	return n
}
func (n entry) with(credential string) entry { n.e.Credential = credential; return n }
func (n entry) on(challenge string) entry    { n.e.Challenge = challenge; return n }

// fail is a failed ceremony of its own, offered over the route.
func fail(at time.Duration, r event.Route) []entry {
	id := r + event.Route(at.String())
	return []entry{offered(at, r, string(id), ""), wire(at, event.LoginError, string(id))}
}

// skip is a declined offer of the kind.
func skip(at time.Duration, k event.Kind) []entry {
	return []entry{nudged(at, k, at.String()), wire(at, event.AppendExplicitAbort, at.String())}
}

func entries(parts ...any) []entry {
	var all []entry
	for _, p := range parts {
		switch p := p.(type) {
		case entry:
			all = append(all, p)
		case []entry:
			all = append(all, p...)
		}
	}
	return all
}

// play appends the entries in the order of their times, each joined to what was there before, as the events service does.
func play(log []entry) (events, offers []event.Event) {
	log = slices.Clone(log)
	slices.SortStableFunc(log, func(a, b entry) int { return int(a.at - b.at) })
	for i, n := range log {
		e := n.e
		e.ID = ident.EventID("pke-" + strconv.Itoa(i+1))
		e.CreatedMs = now.Add(n.at).UnixMilli()
		if n.expires != nil {
			e.Expires = now.Add(*n.expires).Unix()
		}
		e = event.Join(e, append(event.NewSet(events).Live(), offers...), time.Hour)
		if e.Type == event.LoginOffered || e.Type == event.LoginDenied {
			offers = append(offers, e)
			continue
		}
		events = append(events, e)
		if n.deleted {
			events = append(events, event.Event{ID: "pke-9" + e.ID[4:], Type: event.Deleted, Deletes: e.ID, CreatedMs: e.CreatedMs})
		}
	}
	return events, offers
}

func passkey(id string, age time.Duration, env ident.EnvironmentID) account.Credential {
	return account.Credential{ID: ident.CredentialID("cre-" + id), CredentialID: []byte("raw?>" + id), CreatedMs: now.Add(-age).UnixMilli(), Environment: env}
}

func raw(id string) string { return base64.RawURLEncoding.EncodeToString([]byte("raw?>" + id)) }

type foldCase struct {
	name     string
	log      []entry
	passkeys []account.Credential
	deleted  []account.Tombstone
	unknown  bool // environment unknown
	process  string
	change   func(*history.Parameters)
	want     any // a part of the history: Pair, Append, Blacklist, Process or bool (clock skew)
}

func (c foldCase) input() history.Input {
	events, offers := play(c.log)
	in := history.Input{Events: events, Offers: offers, Credentials: c.passkeys, Deleted: c.deleted, Environment: here, Process: c.process, Now: now, Parameters: history.DefaultParameters()}
	if c.passkeys == nil {
		in.Credentials = []account.Credential{passkey("1", 90*day, "env-10")}
	}
	if c.unknown {
		in.Environment = ""
	}
	if c.change != nil {
		c.change(&in.Parameters)
	}
	return in
}

func runFold(t *testing.T, cases []foldCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := history.Fold(c.input())
			var part any
			switch c.want.(type) {
			case history.Pair:
				got.Pair.Wins, got.Pair.Lost = nil, false // tests of their own
				part = got.Pair
			case history.Append:
				got.Append.LastOffer = time.Time{}
				part = got.Append
			case history.Blacklist:
				part = got.Blacklist
			case history.Process:
				part = got.Process
			case bool:
				part = got.ClockSkew
			case time.Time:
				part = got.Append.LastOffer
			default:
				t.Fatalf("no such part: %T", c.want)
			}
			if diff := cmp.Diff(c.want, part); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// one is the account's only passkey.
var one = []ident.CredentialID{"cre-1"}

func TestStreaks(t *testing.T) {
	t.Parallel()
	local := func(n int) history.Pair { return history.Pair{LocalStreak: n, LastFailedRoute: event.Local} }
	runFold(t, []foldCase{
		{name: "no events, no history", want: history.Pair{}},
		{name: "two failed ceremonies", log: entries(fail(-5*day, event.Local), fail(-day, event.Local)), want: local(2)},
		{name: "a failure of age exactly 30 d no longer counts", log: entries(fail(-30*day, event.Local), fail(-day, event.Local)), want: local(1)},
		{name: "a failure a second younger than 30 d counts", log: entries(fail(-30*day+time.Second, event.Local), fail(-day, event.Local)), want: local(2)},
		{name: "a failure a millisecond younger than 30 d counts", log: entries(fail(-30*day+time.Millisecond, event.Local)), want: local(1)},
		{name: "error and abort of one challenge count once", log: entries(offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "").on("c1"), wire(-day+time.Second, event.LoginExplicitAbort, "").on("c1")), want: local(1)},
		{name: "error and abort of one process count once", log: entries(offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "p"), wire(-day+time.Second, event.LoginExplicitAbort, "p")), want: local(1)},
		{name: "error and abort on one challenge whose offer is lost count once", log: entries(wire(-day, event.LoginError, "").on("ab-_"), wire(-day+time.Second, event.LoginExplicitAbort, "").on("ab+/")), want: local(1)},
		{name: "two prompts of one process count twice", log: entries(offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "p").on("c1"), offered(-day+2, event.Local, "p", "c2"), wire(-day+3, event.LoginError, "p").on("c2")), want: local(2)},
		{name: "failures that belong to no ceremony are one each, and local", log: entries(wire(-day, event.LoginError, ""), wire(-day, event.LoginExplicitAbort, "")), want: local(2)},
		{name: "untyped, unexpected and one-tap events are no failures", log: entries(wire(-day, "login-error-untyped", ""), wire(-day, "login-error-unexpected", ""), wire(-day, "login-one-tap-switch", "")), want: history.Pair{}},
		{name: "an unknown type is ignored", log: entries(wire(-day, "login-mystery", "")), want: history.Pair{}},
		{name: "failures elsewhere do not count here", log: entries(wire(-day, event.LoginError, "").in(away), wire(-day, event.LoginError, "").in(away)), want: history.Pair{}},
		{name: "an event without environment has no effect on the pair", log: entries(wire(-day, event.LoginError, "").in("")), want: history.Pair{}},
		{name: "an unknown environment has no history", unknown: true, log: entries(fail(-2*day, event.Local), fail(-day, event.Local)), want: history.Pair{}},
		{name: "a deleted failure was never sent", log: entries(wire(-2*day, event.LoginError, "").removed(), wire(-day, event.LoginError, "")), want: local(1)},
		{name: "an expired failure has no effect", log: entries(wire(-2*day, event.LoginError, "").expiring(0), wire(-day, event.LoginError, "").expiring(time.Second)), want: local(1)},
		{name: "failed CDA ceremonies are a streak of their own", log: entries(fail(-2*day, event.CDA), fail(-day, event.CDA)), want: history.Pair{CDAStreak: 2, LastFailedRoute: event.CDA}},
		{name: "failed security key ceremonies likewise", log: entries(fail(-3*day, event.SecurityKey), fail(-day, event.SecurityKey)), want: history.Pair{SecurityKeyStreak: 2, LastFailedRoute: event.SecurityKey}},
		{name: "the last failed route is that of the newest failure", log: entries(fail(-2*day, event.SecurityKey), fail(-day, event.CDA)), want: history.Pair{SecurityKeyStreak: 1, CDAStreak: 1, LastFailedRoute: event.CDA}},
		{name: "a local success ends the local streak", log: entries(fail(-3*time.Hour, event.Local), completed(-2*time.Hour, event.Local, "cre-1", "p", "c")), want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "a CDA success keeps the local streak", log: entries(fail(-3*time.Hour, event.Local), completed(-2*time.Hour, event.CDA, "cre-1", "p", "c")), want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local, Positive: true, LastRoute: event.CDA}},
		{name: "a created passkey ends the local streak", log: entries(fail(-3*time.Hour, event.Local), fail(-3*time.Hour, event.CDA), created(-2*time.Hour, "cre-1", "p")), want: history.Pair{CDAStreak: 1, LastFailedRoute: event.CDA, Positive: true, LastRoute: event.Local, Proven: one, CreatedHere: true}},
		{name: "success and failure of one millisecond: success wins", log: entries(fail(-time.Hour, event.Local), completed(-time.Hour, event.Local, "cre-1", "p", "c")), want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "positive: two failures within 24 h count", log: entries(completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-2*time.Hour, event.Local), fail(-time.Hour, event.Local)), want: history.Pair{LocalStreak: 2, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "positive: a failure of age exactly 24 h no longer counts", log: entries(completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-24*time.Hour, event.Local), fail(-time.Hour, event.Local)), want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "positive: a failure a second younger than 24 h counts", log: entries(completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-24*time.Hour+time.Second, event.Local), fail(-time.Hour, event.Local)), want: history.Pair{LocalStreak: 2, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "a failure on a ceremony that then succeeded is none", log: entries(offered(-time.Hour, event.CDA, "p", "c"), wire(-time.Hour, event.LoginError, "").on("c"), entry{at: -time.Minute, e: event.Event{Type: event.LoginCompleted, Route: event.Local, Credential: "cre-1", Ceremony: "pke-1", Environment: here}}), want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one}},
	})
}

func TestNoCredentials(t *testing.T) {
	t.Parallel()
	told := history.Pair{LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local}
	runFold(t, []foldCase{
		{name: "it weighs as much as two failures", log: entries(wire(-3*day, event.LoginNoCredentials, "p")), want: told},
		{name: "it does not lower a longer streak", log: entries(fail(-4*day, event.Local), fail(-3*day, event.Local), fail(-2*day, event.Local), wire(-day, event.LoginNoCredentials, "p")), want: history.Pair{LocalStreak: 3, NoCredentials: true, LastFailedRoute: event.Local}},
		{name: "it lasts 30 d also in a positive pair", log: entries(completed(-40*day, event.Local, "cre-1", "p", "c"), wire(-30*day+time.Second, event.LoginNoCredentials, "q")), want: history.Pair{LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "at exactly 30 d it is over", log: entries(wire(-30*day, event.LoginNoCredentials, "p")), want: history.Pair{}},
		{name: "a later local success clears it", log: entries(wire(-3*day, event.LoginNoCredentials, "p"), completed(-day, event.Local, "cre-1", "q", "c")), want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one}},
		{name: "a later CDA success does not", log: entries(wire(-3*day, event.LoginNoCredentials, "p"), completed(-day, event.CDA, "cre-1", "q", "c")), want: history.Pair{LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local, Positive: true, LastRoute: event.CDA}},
		{name: "elsewhere it says nothing", log: entries(wire(-3*day, event.LoginNoCredentials, "p").in(away)), want: history.Pair{}},
	})
}

func TestPositive(t *testing.T) {
	t.Parallel()
	gone := []account.Tombstone{{ID: "cre-2", CredentialID: []byte("raw?>2"), DeletedMs: now.UnixMilli()}}
	runFold(t, []foldCase{
		{name: "a success of age exactly 180 d no longer counts", log: entries(created(-180*day, "cre-1", "p")), passkeys: []account.Credential{passkey("1", 180*day, here)}, want: history.Pair{PositiveStale: true, CreatedHere: true}},
		{name: "a second younger it does", log: entries(created(-180*day+time.Second, "cre-1", "p")), passkeys: []account.Credential{passkey("1", 180*day-time.Second, here)}, want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one, CreatedHere: true}},
		{name: "the credential may be named by its WebAuthn ID", log: entries(completed(-day, event.CDA, raw("1"), "p", "c")), want: history.Pair{Positive: true, LastRoute: event.CDA}},
		{name: "in padded base64 of the other alphabet too", log: entries(completed(-day, event.CDA, base64.StdEncoding.EncodeToString([]byte("raw?>1")), "p", "c")), want: history.Pair{Positive: true, LastRoute: event.CDA}},
		{name: "the success of a credential that is gone does not count", log: entries(completed(-day, event.Local, "cre-2", "p", "c")), deleted: gone, want: history.Pair{}},
		{name: "it still ends the streak before it", log: entries(fail(-2*day, event.Local), completed(-day, event.Local, "cre-2", "p", "c")), deleted: gone, want: history.Pair{}},
		{name: "failures of a deleted credential stop counting, by row ID", log: entries(wire(-2*day, event.LoginError, "").with("cre-2"), wire(-day, event.LoginError, "")), deleted: gone, want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local}},
		{name: "failures of a deleted credential stop counting, by WebAuthn ID", log: entries(wire(-2*day, event.LoginError, "").with(raw("2")), wire(-day, event.LoginNoCredentials, "").with(raw("2"))), deleted: gone, want: history.Pair{}},
		{name: "failures of an active or unheard-of credential count", log: entries(wire(-2*day, event.LoginError, "").with(raw("1")), wire(-day, event.LoginError, "").with("cre-404")), deleted: gone, want: history.Pair{LocalStreak: 2, LastFailedRoute: event.Local}},
		{name: "the last route is that of the newest success", log: entries(completed(-2*day, event.SecurityKey, "cre-1", "p", "c"), completed(-day, event.CDA, "cre-1", "q", "d")), want: history.Pair{Positive: true, LastRoute: event.CDA, PositiveSecurityKey: true}},
		{name: "a success elsewhere says nothing of here", log: entries(completed(-day, event.Local, "cre-1", "p", "c").in(away)), want: history.Pair{}},
		{name: "a stale success beside a recent one is not reported", log: entries(completed(-200*day, event.Local, "cre-1", "p", "c"), completed(-day, event.Local, "cre-1", "q", "d")), want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one}},
	})
}

func TestWins(t *testing.T) {
	t.Parallel()
	by := func(attachment string) []account.Credential {
		c := passkey("1", 90*day, here)
		c.Attachment, c.BackupEligible, c.CreatedMs = attachment, true, now.Add(-day).UnixMilli()
		return []account.Credential{c}
	}
	win := func(route event.Route, at time.Duration) history.Win {
		return history.Win{Route: route, Credential: "cre-1", AtMs: now.Add(at).UnixMilli()}
	}
	for _, tc := range []struct {
		name     string
		log      []entry
		passkeys []account.Credential
		wins     []history.Win
		proven   []ident.CredentialID
		byPhone  []ident.CredentialID
	}{
		{"the newest of each route comes first", entries(completed(-3*day, event.Local, "cre-1", "p", "a"), completed(-2*day, event.CDA, "cre-1", "q", "b"), completed(-day, event.Local, "cre-1", "r", "c")), nil,
			[]history.Win{win(event.Local, -day), win(event.CDA, -2*day)}, one, one},
		{"a creation counts on the route that its event says", entries(byRoute(created(-day, "cre-1", "p"), event.CDA)), by("platform"), []history.Win{win(event.CDA, -day)}, nil, one},
		{"one of before that, by QR code, as the passkey tells", entries(created(-day, "cre-1", "p")), by("cross-platform"), []history.Win{win(event.CDA, -day)}, nil, one},
		{"one of before that, on this device", entries(created(-day, "cre-1", "p")), by("platform"), []history.Win{win(event.Local, -day)}, one, nil},
		{"a login by phone elsewhere is evidence of the phone alone", entries(completed(-400*day, event.CDA, "cre-1", "p", "c").in(away)), by("platform")[:1], nil, one, one},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := history.Fold(foldCase{log: tc.log, passkeys: tc.passkeys}.input())
			if diff := cmp.Diff(tc.wins, got.Pair.Wins); diff != "" {
				t.Error("wins", diff)
			}
			if diff := cmp.Diff(tc.proven, got.Pair.Proven); diff != "" {
				t.Error("proven", diff)
			}
			if diff := cmp.Diff(tc.byPhone, got.ByPhone); diff != "" {
				t.Error("by phone", diff)
			}
		})
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	twice := entries(fail(-3*day, event.Local), fail(-2*day, event.Local))
	for _, tc := range []struct {
		name string
		log  []entry
		want bool
	}{
		{"two failures on this device", twice, true},
		{"one is forgiven", entries(fail(-2*day, event.Local)), false},
		{"failures over a phone say nothing of this device", entries(fail(-3*day, event.CDA), fail(-2*day, event.CDA)), false},
		{"the client said that it holds none", entries(wire(-day, event.LoginNoCredentials, "p")), true},
		{"a local success ends it", entries(twice, completed(-day, event.Local, "cre-1", "p", "c")), false},
		{"a success over a phone does not", entries(twice, completed(-36*time.Hour, event.CDA, "cre-1", "p", "c"), fail(-2*time.Hour, event.Local), fail(-time.Hour, event.Local)), true},
		{"the client's word that it holds one ends it", entries(twice, wire(-day, event.AppendCredentialExists, "p")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := history.Fold(foldCase{log: tc.log}.input()).Pair.Lost; got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func byRoute(n entry, route event.Route) entry { n.e.Route = route; return n }

// fromElsewhere is a passkey of an authenticator that is no part of the device, made here.
func fromElsewhere(synced bool) []account.Credential {
	c := passkey("1", 2*day, here)
	c.Attachment, c.BackupEligible = "cross-platform", synced
	return []account.Credential{c}
}

func TestExistsHere(t *testing.T) {
	t.Parallel()
	exists := func(at time.Duration) []entry { return entries(wire(at, event.AppendCredentialExists, "p")) }
	runFold(t, []foldCase{
		{name: "the provider said so while the account had a passkey", log: exists(-3 * day), want: history.Pair{Said: one}},
		{name: "the passkey it had then is gone", log: exists(-100 * day), want: history.Pair{}},
		{name: "the account has none", log: exists(-3 * day), passkeys: []account.Credential{}, want: history.Pair{}},
		{name: "said exactly 180 d ago", log: exists(-180 * day), passkeys: []account.Credential{passkey("1", 300*day, away)}, want: history.Pair{}},
		{name: "said a second later than that", log: exists(-180*day + time.Second), passkeys: []account.Credential{passkey("1", 300*day, away)}, want: history.Pair{Said: one}},
		{name: "said elsewhere", log: entries(wire(-3*day, event.AppendCredentialExists, "p").in(away)), want: history.Pair{}},
		{name: "a passkey was created here, by the account's own record", passkeys: []account.Credential{passkey("1", 3*day, here)}, want: history.Pair{Proven: one, CreatedHere: true}},
		{name: "long ago", passkeys: []account.Credential{passkey("1", 180*day, here)}, want: history.Pair{CreatedHere: true}},
		{name: "a passkey made by QR code is on the phone", log: entries(byRoute(created(-day, "cre-1", "p"), event.CDA)), want: history.Pair{Positive: true, LastRoute: event.CDA}},
		{name: "one made by QR code before events said so is too", log: entries(created(-day, "cre-1", "p")), passkeys: fromElsewhere(true), want: history.Pair{Positive: true, LastRoute: event.CDA}},
		{name: "one on a security key is on the key", log: entries(created(-day, "cre-1", "p")), passkeys: fromElsewhere(false), want: history.Pair{Positive: true, LastRoute: event.SecurityKey, PositiveSecurityKey: true}},
		{name: "the client's word that it holds one ends what failed before", log: entries(fail(-5*day, event.Local), fail(-4*day, event.Local), fail(-4*day, event.CDA), exists(-3*day)), want: history.Pair{CDAStreak: 1, LastFailedRoute: event.CDA, Said: one}},
		{name: "a login over another device does not mean it is here", log: entries(completed(-day, event.CDA, "cre-1", "p", "c")), want: history.Pair{Positive: true, LastRoute: event.CDA}},
	})
}

func TestBlacklists(t *testing.T) {
	t.Parallel()
	runFold(t, []foldCase{
		{name: "until a second from now", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").expiring(time.Second)), want: history.Blacklist{Login: true}},
		{name: "over at exactly its end", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").expiring(0)), want: history.Blacklist{}},
		{name: "lifted by deletion", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").removed()), want: history.Blacklist{}},
		{name: "without end until deleted", log: entries(wire(-2000*day, event.UserLoginBlacklisted, "").in("")), want: history.Blacklist{Login: true}},
		{name: "bound to another environment", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in(away)), want: history.Blacklist{}},
		{name: "bound to this environment", log: entries(wire(-2*day, event.UserLoginBlacklisted, "")), want: history.Blacklist{Login: true}},
		{name: "bound to this environment, but where we are is unknown", unknown: true, log: entries(wire(-2*day, event.UserLoginBlacklisted, "")), want: history.Blacklist{}},
		{name: "user-wide where we are is unknown", unknown: true, log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in("")), want: history.Blacklist{Login: true}},
		{name: "after hybrid only", log: entries(wire(-7*day, event.AppendBlacklistedAfterHybrid, "").in("")), want: history.Blacklist{AppendAfterHybrid: true}},
		{name: "after error only", log: entries(wire(-7*day, event.AppendBlacklistedAfterError, "").in("")), want: history.Blacklist{AppendAfterError: true}},
		{name: "a created passkey lifts none", log: entries(wire(-7*day, event.AppendBlacklistedAfterError, "").in(""), created(-day, "cre-1", "p")), want: history.Blacklist{AppendAfterError: true}},
		{name: "an end in milliseconds", log: entries(entry{at: -day, e: event.Event{Type: event.UserLoginBlacklisted, Expires: now.UnixMilli() + 1}}), want: history.Blacklist{Login: true}},
		{name: "an end in milliseconds, reached", log: entries(entry{at: -day, e: event.Event{Type: event.UserLoginBlacklisted, Expires: now.UnixMilli()}}), want: history.Blacklist{}},
	})
}

func TestAppendHistory(t *testing.T) {
	t.Parallel()
	def := func(n int, cooldown bool) history.Append {
		return history.Append{Default: history.Nudge{Declines: n, Cooldown: cooldown}}
	}
	three := func(a, b, c time.Duration) []entry {
		return entries(skip(a, event.KindDefault), skip(b, event.KindDefault), skip(c, event.KindDefault))
	}
	runFold(t, []foldCase{
		{name: "three skips start the cooldown", log: three(-25*day, -20*day, -10*day), want: def(3, true)},
		{name: "two do not", log: entries(skip(-2*day, event.KindDefault), skip(-day, event.KindDefault)), want: def(2, false)},
		{name: "the cooldown is over at exactly 30 d", log: three(-50*day, -40*day, -30*day), want: def(3, false)},
		{name: "a second before that it is not", log: three(-50*day, -40*day, -30*day+time.Second), want: def(3, true)},
		{name: "one more skip after it starts the next", log: entries(three(-150*day, -140*day, -130*day), skip(-day, event.KindDefault)), want: def(4, true)},
		{name: "a skip of age exactly 365 d no longer counts", log: three(-365*day, -2*day, -day), want: def(2, false)},
		{name: "a second younger it does", log: three(-365*day+time.Second, -2*day, -day), want: def(3, true)},
		{name: "a success sets all counts to zero", log: entries(three(-3*day, -2*day, -day), skip(-day, event.KindAuto), nudged(-time.Hour, event.KindConditionalCreate, "q"), created(-time.Minute, "cre-1", "p")), want: history.Append{}},
		{name: "also if its passkey is gone", log: entries(three(-3*day, -2*day, -day), created(-time.Minute, "cre-404", "p")), want: history.Append{}},
		{name: "also if it came from elsewhere", log: entries(three(-3*day, -2*day, -day), created(-time.Minute, "cre-1", "p").in(away)), want: history.Append{}},
		{name: "a skip in the millisecond of the success came before it", log: entries(skip(-day, event.KindDefault), created(-day, "cre-1", "p")), want: history.Append{}},
		{name: "skips after the success count again", log: entries(three(-3*day, -2*day, -day), created(-time.Hour, "cre-1", "p"), skip(-time.Minute, event.KindDefault)), want: def(1, false)},
		{name: "an offer that was taken up in the end was not declined", log: entries(nudged(-time.Hour, event.KindDefault, "p"), entry{at: -time.Minute, e: event.Event{Type: event.AppendCompleted, Ceremony: "pke-1"}}, wire(-time.Second, event.AppendError, "p")), want: history.Append{}},
		{name: "without an offer one process yields at most one decline", log: entries(wire(-day, event.AppendError, "p").on("a"), wire(-day, event.AppendExplicitAbort, "p").on("b"), wire(-day, event.AppendError, "p")), want: def(1, false)},
		{name: "one offer yields at most one decline", log: entries(nudged(-day, event.KindDefault, "p"), wire(-day, event.AppendError, "p"), wire(-day, event.AppendExplicitAbort, "p")), want: def(1, false)},
		{name: "each of two offers in a process yields its own", log: entries(nudged(-day, event.KindAuto, "p"), wire(-day, event.AppendError, "p"), nudged(-day+time.Minute, event.KindDefault, "p"), wire(-day+2*time.Minute, event.AppendExplicitAbort, "p")),
			want: history.Append{Default: history.Nudge{Declines: 1}, Auto: history.Nudge{Declines: 1, Cooldown: true}}},
		{name: "kinds are counted apart", log: entries(skip(-3*day, event.KindAfterHybrid), skip(-2*day, event.KindAfterError), skip(-2*day+1, event.KindAfterError), skip(-day, event.KindAuto)),
			want: history.Append{AfterHybrid: history.Nudge{Declines: 1}, AfterError: history.Nudge{Declines: 2, Cooldown: true}, Auto: history.Nudge{Declines: 1, Cooldown: true}}},
		{name: "without a process it is the newest open offer in this environment", log: entries(nudged(-2*time.Hour, event.KindAuto, "p"), nudged(-2*time.Hour, event.KindDefault, "q").in(away), wire(-90*time.Minute, event.AppendExplicitAbort, "")), want: history.Append{Auto: history.Nudge{Declines: 1, Cooldown: true}}},
		{name: "an offer that has been answered is not open", log: entries(nudged(-2*time.Hour, event.KindAuto, "p"), wire(-2*time.Hour+1, event.AppendError, "p"), wire(-90*time.Minute, event.AppendExplicitAbort, "")), want: history.Append{Auto: history.Nudge{Declines: 1, Cooldown: true}, Default: history.Nudge{Declines: 1}}},
		{name: "an offer of age exactly 1 h is not open", log: entries(nudged(-2*time.Hour, event.KindAuto, "p"), wire(-time.Hour, event.AppendExplicitAbort, "")), want: def(1, false)},
		{name: "an existing passkey is not a decline", log: entries(nudged(-day, event.KindDefault, "p"), wire(-day, event.AppendCredentialExists, "p")), want: history.Append{}},
		{name: "telemetry is not a decline", log: entries(wire(-day, "append-error-unexpected", "p"), wire(-day, "append-learn-more", "p"), wire(-day, "manage-error", "p"), wire(-day, "local-unlock", "p")), want: history.Append{}},
		{name: "an environment is not needed", unknown: true, log: three(-3*day, -2*day, -day), want: def(3, true)},
		{name: "a deleted skip was never sent", log: entries(skip(-3*day, event.KindDefault), skip(-2*day, event.KindDefault), nudged(-day, event.KindDefault, "x"), wire(-day, event.AppendExplicitAbort, "x").removed()), want: def(2, false)},
		{name: "a skip of the future counts, and its cooldown runs from now", log: entries(skip(-20*day, event.KindDefault), skip(-12*day, event.KindDefault), wire(3*time.Minute, event.AppendExplicitAbort, "")), want: def(3, true)},
		{name: "conditional creation exactly 24 h ago is over", log: entries(nudged(-24*time.Hour, event.KindConditionalCreate, "p")), want: history.Append{}},
		{name: "a second younger it is not", log: entries(nudged(-24*time.Hour+time.Second, event.KindConditionalCreate, "p")), want: history.Append{ConditionalCreateCooldown: true}},
		{name: "a cancel may have a cooldown of its own", log: entries(skip(-12*day, event.KindDefault), skip(-11*day, event.KindDefault), nudged(-10*day, event.KindDefault, "p"), wire(-10*day, event.AppendError, "p")),
			change: func(p *history.Parameters) { p.CancelCooldownSeconds = 10 * 24 * 3600 }, want: def(3, false)},
		{name: "the last offer of any kind", log: entries(nudged(-23*time.Hour, event.KindConditionalCreate, "p"), nudged(-2*day, event.KindDefault, "q")), want: now.Add(-23 * time.Hour)},
		{name: "a last offer of the future was made now", log: entries(nudged(time.Minute, event.KindDefault, "p")), want: now},
	})
}

func TestProcess(t *testing.T) {
	t.Parallel()
	minutes := func(n int) time.Duration { return -time.Duration(n) * time.Minute }
	runFold(t, []foldCase{
		{name: "no process", want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "no login start", process: "p0", want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "denied", process: "p0", log: entries(entry{at: minutes(2), e: event.Event{Type: event.LoginDenied, Process: "p0"}}), want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "allowed and not finished", process: "p0", log: entries(offered(minutes(2), event.Local, "p0", "c")), want: history.Process{Outcome: history.OutcomeIncomplete}},
		{name: "allowed, then denied", process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), entry{at: minutes(2), e: event.Event{Type: event.LoginDenied, Process: "p0"}}), want: history.Process{Outcome: history.OutcomeIncomplete}},
		{name: "a login start exactly 1 h old no longer speaks", process: "p0", log: entries(offered(-time.Hour, event.Local, "p0", "c")), want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "a second younger it does", process: "p0", log: entries(offered(-time.Hour+time.Second, event.Local, "p0", "c")), want: history.Process{Outcome: history.OutcomeIncomplete}},
		{name: "of another process", process: "p0", log: entries(offered(minutes(2), event.Local, "p1", "c")), want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "finished over CDA", process: "p0", log: entries(offered(minutes(2), event.CDA, "p0", "c"), completed(minutes(1), event.CDA, "cre-1", "p0", "c")), want: history.Process{Outcome: history.OutcomeCDA, Credential: "cre-1"}},
		{name: "finished with a security key", process: "p0", log: entries(completed(minutes(1), event.SecurityKey, "cre-1", "p0", "c")), want: history.Process{Outcome: history.OutcomeSecurityKey, Credential: "cre-1"}},
		{name: "finished locally, where we are is unknown", process: "p0", unknown: true, log: entries(completed(minutes(1), event.Local, "cre-1", "p0", "c")), want: history.Process{Outcome: history.OutcomeLocal, Credential: "cre-1"}},
		{name: "finished, by a start that is 1 h old", process: "p0", log: entries(offered(-time.Hour, event.CDA, "p0", "c"), entry{at: minutes(50), e: event.Event{Type: event.LoginCompleted, Process: "p0", Route: event.CDA, Credential: "cre-1", Ceremony: "pke-1"}}), want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "one failure is no evidence", process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginError, "p0")), want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1}},
		{name: "two are", process: "p0", log: entries(offered(minutes(5), event.Local, "p0", "c"), wire(minutes(4), event.LoginError, "p0").on("c"), offered(minutes(3), event.Local, "p0", "d"), wire(minutes(2), event.LoginError, "p0").on("d")),
			want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 2, MissingEvidence: true}},
		{name: "error and abort of one prompt are one", process: "p0", log: entries(offered(minutes(5), event.Local, "p0", "c"), wire(minutes(4), event.LoginError, "p0"), wire(minutes(3), event.LoginExplicitAbort, "p0")),
			want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1}},
		{name: "failures over CDA are no evidence of what is here", process: "p0", log: entries(offered(minutes(5), event.CDA, "p0", "c"), wire(minutes(4), event.LoginError, "p0").on("c"), offered(minutes(3), event.CDA, "p0", "d"), wire(minutes(2), event.LoginError, "p0").on("d")),
			want: history.Process{Outcome: history.OutcomeIncomplete}},
		{name: "the client has no credentials", process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginNoCredentials, "p0")), want: history.Process{Outcome: history.OutcomeIncomplete, MissingEvidence: true}},
		{name: "an event that names only the challenge belongs to the process of its offer", process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginError, "").on("c")), want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1}},
		{name: "an untyped error leaves the process incomplete", process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), "login-error-untyped", "p0")), want: history.Process{Outcome: history.OutcomeIncomplete}},
	})
	t.Run("a failure that was joined stands for its offer when that is lost", func(t *testing.T) {
		t.Parallel()
		in := foldCase{process: "p0", log: entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginError, "p0"))}.input()
		in.Offers = nil
		want := history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1}
		if diff := cmp.Diff(want, history.Fold(in).Process); diff != "" {
			t.Error(diff)
		}
	})
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	runFold(t, []foldCase{
		{name: "3 min ahead is nothing", log: entries(wire(3*time.Minute, event.AppendExplicitAbort, "p")), want: false},
		{name: "exactly 5 min ahead is nothing", log: entries(wire(5*time.Minute, event.AppendExplicitAbort, "p")), want: false},
		{name: "a millisecond more is marked", log: entries(wire(5*time.Minute+time.Millisecond, event.AppendExplicitAbort, "p")), want: true},
		{name: "also a failure here", log: entries(wire(10*time.Minute, event.LoginError, "p")), want: true},
		{name: "an event that does not count is not", log: entries(wire(10*time.Minute, event.LoginError, "p").in(away)), want: false},
	})
}

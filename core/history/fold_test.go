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
	return entry{
		at: at,
		e: event.Event{
			Type: event.LoginCompleted, Route: r, Credential: credential, Process: process, Challenge: challenge,
			Ceremony: "done-" + ident.ChallengeID(challenge), Environment: here,
		},
	}
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
func asked(at time.Duration, by event.Source) []entry {
	offer := offered(at, event.Local, string(by)+at.String(), "")
	offer.e.Source = by
	return []entry{offer, wire(at, event.LoginError, string(by)+at.String())}
}

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
		e = event.Join(e, append(event.NewSet(events).Live(), offers...))
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
	return account.Credential{
		ID: ident.CredentialID("cre-" + id), CredentialID: []byte("raw?>" + id), CreatedMs: now.Add(-age).UnixMilli(),
		Environment: env,
	}
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
	in := history.Input{
		Events: event.NewSet(events), Offers: offers, Credentials: c.passkeys, Deleted: c.deleted, Environment: here, Process: c.process,
		Now: now, Parameters: defaultParameters(),
	}
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
			case history.Doubts:
				part = got.Doubts
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
		{
			name: "a failure of age exactly 30 d no longer counts",
			log:  entries(fail(-30*day, event.Local), fail(-day, event.Local)),
			want: local(1),
		},
		{
			name: "a failure a second younger than 30 d counts",
			log:  entries(fail(-30*day+time.Second, event.Local), fail(-day, event.Local)),
			want: local(2),
		},
		{name: "a failure a millisecond younger than 30 d counts", log: entries(fail(-30*day+time.Millisecond, event.Local)), want: local(1)},
		{
			name: "what the user pressed and cancelled is no failure",
			log:  entries(asked(-2*day, event.Button), asked(-day, event.OneTap), asked(-time.Hour, event.OtherDevice)),
			want: history.Pair{},
		},
		{
			name: "what came after a name was typed is one, and so is another try",
			log:  entries(asked(-2*day, event.TextField), asked(-day, event.ErrorSoft)),
			want: local(2),
		},
		{
			name:   "which sources the user asks by is a parameter",
			log:    entries(asked(-2*day, event.Button), asked(-day, event.ErrorSoft)),
			change: func(p *history.Parameters) { p.ExplicitSources = []event.Source{event.ErrorSoft} },
			want:   local(1),
		},
		{
			name: "error and abort of one challenge count once",
			log: entries(
				offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "").on("c1"),
				wire(-day+time.Second, event.LoginExplicitAbort, "").on("c1"),
			),
			want: local(1),
		},
		{
			name: "error and abort of one process count once",
			log: entries(
				offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "p"),
				wire(-day+time.Second, event.LoginExplicitAbort, "p"),
			),
			want: local(1),
		},
		{
			name: "error and abort on one challenge whose offer is lost count once",
			log:  entries(wire(-day, event.LoginError, "").on("ab-_"), wire(-day+time.Second, event.LoginExplicitAbort, "").on("ab+/")),
			want: local(1),
		},
		{
			name: "two prompts of one process count twice",
			log: entries(
				offered(-day, event.Local, "p", "c1"), wire(-day, event.LoginError, "p").on("c1"),
				offered(-day+2, event.Local, "p", "c2"), wire(-day+3, event.LoginError, "p").on("c2"),
			),
			want: local(2),
		},
		{
			name: "failures that belong to no ceremony are one each, and local",
			log:  entries(wire(-day, event.LoginError, ""), wire(-day, event.LoginExplicitAbort, "")),
			want: local(2),
		},
		{
			name: "that a request in immediate mode ended empty is no failure, and no word on what the client holds",
			log:  entries(wire(-day, event.LoginImmediateEmpty, ""), wire(-day+1, event.LoginImmediateEmpty, "")),
			want: history.Pair{},
		},
		{
			name: "untyped, unexpected and one-tap events are no failures",
			log:  entries(wire(-day, "login-error-untyped", ""), wire(-day, "login-error-unexpected", ""), wire(-day, "login-one-tap-switch", "")),
			want: history.Pair{},
		},
		{name: "an unknown type is ignored", log: entries(wire(-day, "login-mystery", "")), want: history.Pair{}},
		{
			name: "failures elsewhere do not count here",
			log:  entries(wire(-day, event.LoginError, "").in(away), wire(-day, event.LoginError, "").in(away)),
			want: history.Pair{},
		},
		{
			name: "an event without environment has no effect on the pair",
			log:  entries(wire(-day, event.LoginError, "").in("")),
			want: history.Pair{},
		},
		{
			name:    "an unknown environment has no history",
			unknown: true,
			log:     entries(fail(-2*day, event.Local), fail(-day, event.Local)),
			want:    history.Pair{},
		},
		{
			name: "a deleted failure was never sent",
			log:  entries(wire(-2*day, event.LoginError, "").removed(), wire(-day, event.LoginError, "")),
			want: local(1),
		},
		{
			name: "an expired failure has no effect",
			log:  entries(wire(-2*day, event.LoginError, "").expiring(0), wire(-day, event.LoginError, "").expiring(time.Second)),
			want: local(1),
		},
		{
			name: "failed CDA ceremonies are a streak of their own",
			log:  entries(fail(-2*day, event.CDA), fail(-day, event.CDA)),
			want: history.Pair{CDAStreak: 2, LastFailedRoute: event.CDA},
		},
		{
			name: "failed security key ceremonies likewise",
			log:  entries(fail(-3*day, event.SecurityKey), fail(-day, event.SecurityKey)),
			want: history.Pair{SecurityKeyStreak: 2, LastFailedRoute: event.SecurityKey},
		},
		{
			name: "the last failed route is that of the newest failure",
			log:  entries(fail(-2*day, event.SecurityKey), fail(-day, event.CDA)),
			want: history.Pair{SecurityKeyStreak: 1, CDAStreak: 1, LastFailedRoute: event.CDA},
		},
		{
			name: "a local success ends the local streak",
			log:  entries(fail(-3*time.Hour, event.Local), completed(-2*time.Hour, event.Local, "cre-1", "p", "c")),
			want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "a CDA success keeps the local streak",
			log:  entries(fail(-3*time.Hour, event.Local), completed(-2*time.Hour, event.CDA, "cre-1", "p", "c")),
			want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local, Positive: true, LastRoute: event.CDA},
		},
		{
			name: "a created passkey ends the local streak",
			log:  entries(fail(-3*time.Hour, event.Local), fail(-3*time.Hour, event.CDA), created(-2*time.Hour, "cre-1", "p")),
			want: history.Pair{CDAStreak: 1, LastFailedRoute: event.CDA, Positive: true, LastRoute: event.Local, Proven: one, CreatedHere: true},
		},
		{
			name: "success and failure of one millisecond: success wins",
			log:  entries(fail(-time.Hour, event.Local), completed(-time.Hour, event.Local, "cre-1", "p", "c")),
			want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "positive: two failures within 24 h count",
			log:  entries(completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-2*time.Hour, event.Local), fail(-time.Hour, event.Local)),
			want: history.Pair{LocalStreak: 2, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "positive: a failure of age exactly 24 h no longer counts",
			log:  entries(completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-24*time.Hour, event.Local), fail(-time.Hour, event.Local)),
			want: history.Pair{LocalStreak: 1, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "positive: a failure a second younger than 24 h counts",
			log: entries(
				completed(-10*day, event.Local, "cre-1", "p", "c"), fail(-24*time.Hour+time.Second, event.Local),
				fail(-time.Hour, event.Local),
			),
			want: history.Pair{LocalStreak: 2, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "a failure on a ceremony that then succeeded is none",
			log: entries(
				offered(-time.Hour, event.CDA, "p", "c"),
				wire(-time.Hour, event.LoginError, "").on("c"),
				entry{
					at: -time.Minute,
					e:  event.Event{Type: event.LoginCompleted, Route: event.Local, Credential: "cre-1", Ceremony: "pke-1", Environment: here},
				},
			),
			want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one},
		},
	})
}

func TestBlacklists(t *testing.T) {
	t.Parallel()
	runFold(t, []foldCase{
		{
			name: "until a second from now",
			log:  entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").expiring(time.Second)),
			want: history.Blacklist{Login: true},
		},
		{
			name: "over at exactly its end",
			log:  entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").expiring(0)),
			want: history.Blacklist{},
		},
		{name: "lifted by deletion", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in("").removed()), want: history.Blacklist{}},
		{
			name: "without end until deleted",
			log:  entries(wire(-2000*day, event.UserLoginBlacklisted, "").in("")),
			want: history.Blacklist{Login: true},
		},
		{name: "bound to another environment", log: entries(wire(-2*day, event.UserLoginBlacklisted, "").in(away)), want: history.Blacklist{}},
		{name: "bound to this environment", log: entries(wire(-2*day, event.UserLoginBlacklisted, "")), want: history.Blacklist{Login: true}},
		{
			name:    "bound to this environment, but where we are is unknown",
			unknown: true,
			log:     entries(wire(-2*day, event.UserLoginBlacklisted, "")),
			want:    history.Blacklist{},
		},
		{
			name:    "user-wide where we are is unknown",
			unknown: true,
			log:     entries(wire(-2*day, event.UserLoginBlacklisted, "").in("")),
			want:    history.Blacklist{Login: true},
		},
		{
			name: "after hybrid only",
			log:  entries(wire(-7*day, event.AppendBlacklistedAfterHybrid, "").in("")),
			want: history.Blacklist{AppendAfterHybrid: true},
		},
		{
			name: "after error only",
			log:  entries(wire(-7*day, event.AppendBlacklistedAfterError, "").in("")),
			want: history.Blacklist{AppendAfterError: true},
		},
		{
			name: "a created passkey lifts none",
			log:  entries(wire(-7*day, event.AppendBlacklistedAfterError, "").in(""), created(-day, "cre-1", "p")),
			want: history.Blacklist{AppendAfterError: true},
		},
		{
			name: "an end in milliseconds",
			log:  entries(entry{at: -day, e: event.Event{Type: event.UserLoginBlacklisted, Expires: now.UnixMilli() + 1}}),
			want: history.Blacklist{Login: true},
		},
		{
			name: "an end in milliseconds, reached",
			log:  entries(entry{at: -day, e: event.Event{Type: event.UserLoginBlacklisted, Expires: now.UnixMilli()}}),
			want: history.Blacklist{},
		},
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

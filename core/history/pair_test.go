package history_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

func TestNoCredentials(t *testing.T) {
	t.Parallel()
	told := history.Pair{LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local}
	runFold(t, []foldCase{
		{name: "it weighs as much as two failures", log: entries(wire(-3*day, event.LoginNoCredentials, "p")), want: told},
		{
			name: "it does not lower a longer streak",
			log: entries(
				fail(-4*day, event.Local), fail(-3*day, event.Local), fail(-2*day, event.Local),
				wire(-day, event.LoginNoCredentials, "p"),
			),
			want: history.Pair{LocalStreak: 3, NoCredentials: true, LastFailedRoute: event.Local},
		},
		{
			name: "it lasts 30 d also in a positive pair",
			log:  entries(completed(-40*day, event.Local, "cre-1", "p", "c"), wire(-30*day+time.Second, event.LoginNoCredentials, "q")),
			want: history.Pair{
				LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local, Positive: true, LastRoute: event.Local,
				Proven: one,
			},
		},
		{name: "at exactly 30 d it is over", log: entries(wire(-30*day, event.LoginNoCredentials, "p")), want: history.Pair{}},
		{
			name: "a later local success clears it",
			log:  entries(wire(-3*day, event.LoginNoCredentials, "p"), completed(-day, event.Local, "cre-1", "q", "c")),
			want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one},
		},
		{
			name: "a later CDA success does not",
			log:  entries(wire(-3*day, event.LoginNoCredentials, "p"), completed(-day, event.CDA, "cre-1", "q", "c")),
			want: history.Pair{LocalStreak: 2, NoCredentials: true, LastFailedRoute: event.Local, Positive: true, LastRoute: event.CDA},
		},
		{name: "elsewhere it says nothing", log: entries(wire(-3*day, event.LoginNoCredentials, "p").in(away)), want: history.Pair{}},
	})
}

func TestPositive(t *testing.T) {
	t.Parallel()
	gone := []account.Tombstone{{ID: "cre-2", CredentialID: []byte("raw?>2"), DeletedMs: now.UnixMilli()}}
	runFold(t, []foldCase{
		{
			name:     "a success of age exactly 180 d no longer counts",
			log:      entries(created(-180*day, "cre-1", "p")),
			passkeys: []account.Credential{passkey("1", 180*day, here)},
			want:     history.Pair{PositiveStale: true, CreatedHere: true},
		},
		{
			name:     "a second younger it does",
			log:      entries(created(-180*day+time.Second, "cre-1", "p")),
			passkeys: []account.Credential{passkey("1", 180*day-time.Second, here)},
			want:     history.Pair{Positive: true, LastRoute: event.Local, Proven: one, CreatedHere: true},
		},
		{
			name: "the credential may be named by its WebAuthn ID",
			log:  entries(completed(-day, event.CDA, raw("1"), "p", "c")),
			want: history.Pair{Positive: true, LastRoute: event.CDA},
		},
		{
			name: "in padded base64 of the other alphabet too",
			log:  entries(completed(-day, event.CDA, base64.StdEncoding.EncodeToString([]byte("raw?>1")), "p", "c")),
			want: history.Pair{Positive: true, LastRoute: event.CDA},
		},
		{
			name:    "the success of a credential that is gone does not count",
			log:     entries(completed(-day, event.Local, "cre-2", "p", "c")),
			deleted: gone,
			want:    history.Pair{},
		},
		{
			name:    "it still ends the streak before it",
			log:     entries(fail(-2*day, event.Local), completed(-day, event.Local, "cre-2", "p", "c")),
			deleted: gone,
			want:    history.Pair{},
		},
		{
			name:    "failures of a deleted credential stop counting, by row ID",
			log:     entries(wire(-2*day, event.LoginError, "").with("cre-2"), wire(-day, event.LoginError, "")),
			deleted: gone,
			want:    history.Pair{LocalStreak: 1, LastFailedRoute: event.Local},
		},
		{
			name:    "failures of a deleted credential stop counting, by WebAuthn ID",
			log:     entries(wire(-2*day, event.LoginError, "").with(raw("2")), wire(-day, event.LoginNoCredentials, "").with(raw("2"))),
			deleted: gone,
			want:    history.Pair{},
		},
		{
			name:    "failures of an active or unheard-of credential count",
			log:     entries(wire(-2*day, event.LoginError, "").with(raw("1")), wire(-day, event.LoginError, "").with("cre-404")),
			deleted: gone,
			want:    history.Pair{LocalStreak: 2, LastFailedRoute: event.Local},
		},
		{
			name: "the last route is that of the newest success",
			log:  entries(completed(-2*day, event.SecurityKey, "cre-1", "p", "c"), completed(-day, event.CDA, "cre-1", "q", "d")),
			want: history.Pair{Positive: true, LastRoute: event.CDA, PositiveSecurityKey: true},
		},
		{
			name: "a success elsewhere says nothing of here",
			log:  entries(completed(-day, event.Local, "cre-1", "p", "c").in(away)),
			want: history.Pair{},
		},
		{
			name: "a stale success beside a recent one is not reported",
			log:  entries(completed(-200*day, event.Local, "cre-1", "p", "c"), completed(-day, event.Local, "cre-1", "q", "d")),
			want: history.Pair{Positive: true, LastRoute: event.Local, Proven: one},
		},
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
		{
			"the newest of each route comes first",
			entries(
				completed(-3*day, event.Local, "cre-1", "p", "a"), completed(-2*day, event.CDA, "cre-1", "q", "b"),
				completed(-day, event.Local, "cre-1", "r", "c"),
			),
			nil, []history.Win{win(event.Local, -day), win(event.CDA, -2*day)}, one, one,
		},
		{
			"a creation counts on the route that its event says", entries(byRoute(created(-day, "cre-1", "p"), event.CDA)),
			by("platform"), []history.Win{win(event.CDA, -day)}, nil, one,
		},
		{
			"one of before that, by QR code, as the passkey tells", entries(created(-day, "cre-1", "p")), by("cross-platform"),
			[]history.Win{win(event.CDA, -day)}, nil, one,
		},
		{
			"one of before that, on this device", entries(created(-day, "cre-1", "p")), by("platform"),
			[]history.Win{win(event.Local, -day)}, one, nil,
		},
		{
			"a login by phone elsewhere is evidence of the phone alone",
			entries(completed(-400*day, event.CDA, "cre-1", "p", "c").in(away)), by("platform")[:1], nil, one, one,
		},
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
		{
			"a success over a phone does not",
			entries(twice, completed(-36*time.Hour, event.CDA, "cre-1", "p", "c"), fail(-2*time.Hour, event.Local), fail(-time.Hour, event.Local)),
			true,
		},
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
		{
			name:     "said exactly 180 d ago",
			log:      exists(-180 * day),
			passkeys: []account.Credential{passkey("1", 300*day, away)},
			want:     history.Pair{},
		},
		{
			name:     "said a second later than that",
			log:      exists(-180*day + time.Second),
			passkeys: []account.Credential{passkey("1", 300*day, away)},
			want:     history.Pair{Said: one},
		},
		{name: "said elsewhere", log: entries(wire(-3*day, event.AppendCredentialExists, "p").in(away)), want: history.Pair{}},
		{
			name:     "a passkey was created here, by the account's own record",
			passkeys: []account.Credential{passkey("1", 3*day, here)},
			want:     history.Pair{Proven: one, CreatedHere: true},
		},
		{name: "long ago", passkeys: []account.Credential{passkey("1", 180*day, here)}, want: history.Pair{CreatedHere: true}},
		{
			name: "a passkey made by QR code is on the phone",
			log:  entries(byRoute(created(-day, "cre-1", "p"), event.CDA)),
			want: history.Pair{Positive: true, LastRoute: event.CDA},
		},
		{
			name:     "one made by QR code before events said so is too",
			log:      entries(created(-day, "cre-1", "p")),
			passkeys: fromElsewhere(true),
			want:     history.Pair{Positive: true, LastRoute: event.CDA},
		},
		{
			name:     "one on a security key is on the key",
			log:      entries(created(-day, "cre-1", "p")),
			passkeys: fromElsewhere(false),
			want:     history.Pair{Positive: true, LastRoute: event.SecurityKey, PositiveSecurityKey: true},
		},
		{
			name: "the client's word that it holds one ends what failed before",
			log:  entries(fail(-5*day, event.Local), fail(-4*day, event.Local), fail(-4*day, event.CDA), exists(-3*day)),
			want: history.Pair{CDAStreak: 1, LastFailedRoute: event.CDA, Said: one},
		},
		{
			name: "a login over another device does not mean it is here",
			log:  entries(completed(-day, event.CDA, "cre-1", "p", "c")),
			want: history.Pair{Positive: true, LastRoute: event.CDA},
		},
	})
}

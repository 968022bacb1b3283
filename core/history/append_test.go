package history_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
)

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
		{
			name: "one more skip after it starts the next",
			log:  entries(three(-150*day, -140*day, -130*day), skip(-day, event.KindDefault)),
			want: def(4, true),
		},
		{name: "a skip of age exactly 365 d no longer counts", log: three(-365*day, -2*day, -day), want: def(2, false)},
		{name: "a second younger it does", log: three(-365*day+time.Second, -2*day, -day), want: def(3, true)},
		{
			name: "a success sets all counts to zero",
			log: entries(
				three(-3*day, -2*day, -day), skip(-day, event.KindAuto), nudged(-time.Hour, event.KindConditionalCreate, "q"),
				created(-time.Minute, "cre-1", "p"),
			),
			want: history.Append{},
		},
		{
			name: "also if its passkey is gone",
			log:  entries(three(-3*day, -2*day, -day), created(-time.Minute, "cre-404", "p")),
			want: history.Append{},
		},
		{
			name: "also if it came from elsewhere",
			log:  entries(three(-3*day, -2*day, -day), created(-time.Minute, "cre-1", "p").in(away)),
			want: history.Append{},
		},
		{
			name: "a skip in the millisecond of the success came before it",
			log:  entries(skip(-day, event.KindDefault), created(-day, "cre-1", "p")),
			want: history.Append{},
		},
		{
			name: "skips after the success count again",
			log:  entries(three(-3*day, -2*day, -day), created(-time.Hour, "cre-1", "p"), skip(-time.Minute, event.KindDefault)),
			want: def(1, false),
		},
		{
			name: "an offer that was taken up in the end was not declined",
			log: entries(
				nudged(-time.Hour, event.KindDefault, "p"),
				entry{at: -time.Minute, e: event.Event{Type: event.AppendCompleted, Ceremony: "pke-1"}},
				wire(-time.Second, event.AppendError, "p"),
			),
			want: history.Append{},
		},
		{
			name: "without an offer one process yields at most one decline",
			log: entries(
				wire(-day, event.AppendError, "p").on("a"), wire(-day, event.AppendExplicitAbort, "p").on("b"),
				wire(-day, event.AppendError, "p"),
			),
			want: def(1, false),
		},
		{
			name: "one offer yields at most one decline",
			log:  entries(nudged(-day, event.KindDefault, "p"), wire(-day, event.AppendError, "p"), wire(-day, event.AppendExplicitAbort, "p")),
			want: def(1, false),
		},
		{
			name: "each of two offers in a process yields its own",
			log: entries(
				nudged(-day, event.KindAuto, "p"), wire(-day, event.AppendError, "p"),
				nudged(-day+time.Minute, event.KindDefault, "p"), wire(-day+2*time.Minute, event.AppendExplicitAbort, "p"),
			),
			want: history.Append{Default: history.Nudge{Declines: 1}, Auto: history.Nudge{Declines: 1, Cooldown: true}},
		},
		{
			name: "kinds are counted apart",
			log: entries(
				skip(-3*day, event.KindAfterHybrid), skip(-2*day, event.KindAfterError), skip(-2*day+1, event.KindAfterError),
				skip(-day, event.KindAuto),
			),
			want: history.Append{
				AfterHybrid: history.Nudge{Declines: 1}, AfterError: history.Nudge{Declines: 2, Cooldown: true},
				Auto: history.Nudge{Declines: 1, Cooldown: true},
			},
		},
		{
			name: "without a process it is the newest open offer in this environment",
			log: entries(
				nudged(-2*time.Hour, event.KindAuto, "p"), nudged(-2*time.Hour, event.KindDefault, "q").in(away),
				wire(-90*time.Minute, event.AppendExplicitAbort, ""),
			),
			want: history.Append{Auto: history.Nudge{Declines: 1, Cooldown: true}},
		},
		{
			name: "an offer that has been answered is not open",
			log: entries(
				nudged(-2*time.Hour, event.KindAuto, "p"), wire(-2*time.Hour+1, event.AppendError, "p"),
				wire(-90*time.Minute, event.AppendExplicitAbort, ""),
			),
			want: history.Append{Auto: history.Nudge{Declines: 1, Cooldown: true}, Default: history.Nudge{Declines: 1}},
		},
		{
			name: "an offer of age exactly 1 h is not open",
			log:  entries(nudged(-2*time.Hour, event.KindAuto, "p"), wire(-time.Hour, event.AppendExplicitAbort, "")),
			want: def(1, false),
		},
		{
			name: "an existing passkey is not a decline",
			log:  entries(nudged(-day, event.KindDefault, "p"), wire(-day, event.AppendCredentialExists, "p")),
			want: history.Append{},
		},
		{
			name: "telemetry is not a decline",
			log: entries(
				wire(-day, "append-error-unexpected", "p"), wire(-day, "append-learn-more", "p"), wire(-day, "manage-error", "p"),
				wire(-day, "local-unlock", "p"),
			),
			want: history.Append{},
		},
		{name: "an environment is not needed", unknown: true, log: three(-3*day, -2*day, -day), want: def(3, true)},
		{
			name: "a deleted skip was never sent",
			log: entries(
				skip(-3*day, event.KindDefault), skip(-2*day, event.KindDefault), nudged(-day, event.KindDefault, "x"),
				wire(-day, event.AppendExplicitAbort, "x").removed(),
			),
			want: def(2, false),
		},
		{
			name: "a skip of the future counts, and its cooldown runs from now",
			log:  entries(skip(-20*day, event.KindDefault), skip(-12*day, event.KindDefault), wire(3*time.Minute, event.AppendExplicitAbort, "")),
			want: def(3, true),
		},
		{
			name: "conditional creation exactly 24 h ago is over",
			log:  entries(nudged(-24*time.Hour, event.KindConditionalCreate, "p")),
			want: history.Append{},
		},
		{
			name: "a second younger it is not",
			log:  entries(nudged(-24*time.Hour+time.Second, event.KindConditionalCreate, "p")),
			want: history.Append{ConditionalCreateCooldown: true},
		},
		{
			name:    "conditional creation of another process does not count if each may have one",
			log:     entries(nudged(-time.Hour, event.KindConditionalCreate, "p")),
			process: "q",
			change:  func(p *history.Parameters) { p.ConditionalCreate.PerProcess = true },
			want:    history.Append{},
		},
		{
			name:    "one of this process does",
			log:     entries(nudged(-time.Hour, event.KindConditionalCreate, "p")),
			process: "p",
			change:  func(p *history.Parameters) { p.ConditionalCreate.PerProcess = true },
			want:    history.Append{ConditionalCreateCooldown: true},
		},
		{
			name: "a cancel may have a cooldown of its own",
			log: entries(
				skip(-12*day, event.KindDefault), skip(-11*day, event.KindDefault), nudged(-10*day, event.KindDefault, "p"),
				wire(-10*day, event.AppendError, "p"),
			),
			change: func(p *history.Parameters) { p.CancelCooldownSeconds = 10 * 24 * 3600 },
			want:   def(3, false),
		},
		{
			name: "the last offer of any kind",
			log:  entries(nudged(-23*time.Hour, event.KindConditionalCreate, "p"), nudged(-2*day, event.KindDefault, "q")),
			want: now.Add(-23 * time.Hour),
		},
		{name: "a last offer of the future was made now", log: entries(nudged(time.Minute, event.KindDefault, "p")), want: now},
	})
}

func TestTheBudgetOfOffersIsOneForAllKinds(t *testing.T) {
	t.Parallel()
	budget := func(day, month, year int) func(*history.Parameters) {
		return func(p *history.Parameters) { p.NudgeBudget = history.NudgeBudget{Day: day, Month: month, Year: year} }
	}
	spent, left := history.Append{BudgetSpent: true}, history.Append{}
	runFold(t, []foldCase{
		{name: "there is none", log: entries(nudged(-time.Hour, event.KindDefault, "p")), want: left},
		{name: "one a day, and none was shown", change: budget(1, 0, 0), want: left},
		{name: "one a day, of whatever kind", change: budget(1, 0, 0), log: entries(nudged(-time.Hour, event.KindAuto, "p")), want: spent},
		{name: "until it is 24 h old", change: budget(1, 0, 0), log: entries(nudged(-24*time.Hour, event.KindDefault, "p")), want: left},
		{
			name: "two kinds a month", change: budget(0, 2, 0),
			log: entries(nudged(-29*day, event.KindDefault, "p"), nudged(-2*day, event.KindAfterHybrid, "q")), want: spent,
		},
		{
			name: "one of them too long ago", change: budget(0, 2, 0),
			log: entries(nudged(-30*day, event.KindDefault, "p"), nudged(-2*day, event.KindAfterHybrid, "q")), want: left,
		},
		{
			name: "a year", change: budget(0, 0, 2),
			log: entries(nudged(-364*day, event.KindDefault, "p"), nudged(-100*day, event.KindAfterError, "q")), want: spent,
		},
		{
			name: "what was created silently showed nothing", change: budget(1, 1, 1),
			log: entries(nudged(-25*time.Hour, event.KindConditionalCreate, "p")), want: left,
		},
		{
			name: "in other environments too", change: budget(1, 0, 0),
			log: entries(nudged(-time.Hour, event.KindDefault, "p").in(away)), want: spent,
		},
	})
}

func TestProcess(t *testing.T) {
	t.Parallel()
	minutes := func(n int) time.Duration { return -time.Duration(n) * time.Minute }
	runFold(t, []foldCase{
		{name: "no process", want: history.Process{Outcome: history.OutcomeNotOffered}},
		{name: "no login start", process: "p0", want: history.Process{Outcome: history.OutcomeNotOffered}},
		{
			name:    "denied",
			process: "p0",
			log:     entries(entry{at: minutes(2), e: event.Event{Type: event.LoginDenied, Process: "p0"}}),
			want:    history.Process{Outcome: history.OutcomeNotOffered},
		},
		{
			name:    "allowed and not finished",
			process: "p0",
			log:     entries(offered(minutes(2), event.Local, "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeIncomplete},
		},
		{
			name:    "allowed, then denied",
			process: "p0",
			log: entries(
				offered(minutes(3), event.Local, "p0", "c"),
				entry{at: minutes(2), e: event.Event{Type: event.LoginDenied, Process: "p0"}},
			),
			want: history.Process{Outcome: history.OutcomeIncomplete},
		},
		{
			name:    "a login start exactly 1 h old no longer speaks",
			process: "p0",
			log:     entries(offered(-time.Hour, event.Local, "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeNotOffered},
		},
		{
			name:    "a second younger it does",
			process: "p0",
			log:     entries(offered(-time.Hour+time.Second, event.Local, "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeIncomplete},
		},
		{
			name:    "of another process",
			process: "p0",
			log:     entries(offered(minutes(2), event.Local, "p1", "c")),
			want:    history.Process{Outcome: history.OutcomeNotOffered},
		},
		{
			name:    "finished over CDA",
			process: "p0",
			log:     entries(offered(minutes(2), event.CDA, "p0", "c"), completed(minutes(1), event.CDA, "cre-1", "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeCDA, Credential: "cre-1"},
		},
		{
			name:    "finished with a security key",
			process: "p0",
			log:     entries(completed(minutes(1), event.SecurityKey, "cre-1", "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeSecurityKey, Credential: "cre-1"},
		},
		{
			name:    "finished locally, where we are is unknown",
			process: "p0",
			unknown: true,
			log:     entries(completed(minutes(1), event.Local, "cre-1", "p0", "c")),
			want:    history.Process{Outcome: history.OutcomeLocal, Credential: "cre-1"},
		},
		{
			name:    "finished, by a start that is 1 h old",
			process: "p0",
			log: entries(
				offered(-time.Hour, event.CDA, "p0", "c"),
				entry{
					at: minutes(50),
					e:  event.Event{Type: event.LoginCompleted, Process: "p0", Route: event.CDA, Credential: "cre-1", Ceremony: "pke-1"},
				},
			),
			want: history.Process{Outcome: history.OutcomeNotOffered},
		},
		{
			name:    "one failure is no evidence",
			process: "p0",
			log:     entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginError, "p0")),
			want:    history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1},
		},
		{
			name:    "two are",
			process: "p0",
			log: entries(
				offered(minutes(5), event.Local, "p0", "c"), wire(minutes(4), event.LoginError, "p0").on("c"),
				offered(minutes(3), event.Local, "p0", "d"), wire(minutes(2), event.LoginError, "p0").on("d"),
			),
			want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 2, MissingEvidence: true},
		},
		{
			name:    "what the user pressed and cancelled is no evidence",
			process: "p0",
			log: entries(
				entry{at: minutes(5), e: event.Event{
					Type: event.LoginOffered, Route: event.Local, Source: event.Button, Process: "p0", Challenge: "c", Environment: here,
				}},
				wire(minutes(4), event.LoginError, "p0").on("c"),
			),
			want: history.Process{Outcome: history.OutcomeIncomplete},
		},
		{
			name:    "error and abort of one prompt are one",
			process: "p0",
			log: entries(
				offered(minutes(5), event.Local, "p0", "c"), wire(minutes(4), event.LoginError, "p0"),
				wire(minutes(3), event.LoginExplicitAbort, "p0"),
			),
			want: history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1},
		},
		{
			name:    "failures over CDA are no evidence of what is here",
			process: "p0",
			log: entries(
				offered(minutes(5), event.CDA, "p0", "c"), wire(minutes(4), event.LoginError, "p0").on("c"),
				offered(minutes(3), event.CDA, "p0", "d"), wire(minutes(2), event.LoginError, "p0").on("d"),
			),
			want: history.Process{Outcome: history.OutcomeIncomplete},
		},
		{
			name:    "the client has no credentials",
			process: "p0",
			log:     entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginNoCredentials, "p0")),
			want:    history.Process{Outcome: history.OutcomeIncomplete, MissingEvidence: true},
		},
		{
			name:    "an event that names only the challenge belongs to the process of its offer",
			process: "p0",
			log:     entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), event.LoginError, "").on("c")),
			want:    history.Process{Outcome: history.OutcomeIncomplete, FailedLocal: 1},
		},
		{
			name:    "an untyped error leaves the process incomplete",
			process: "p0",
			log:     entries(offered(minutes(3), event.Local, "p0", "c"), wire(minutes(2), "login-error-untyped", "p0")),
			want:    history.Process{Outcome: history.OutcomeIncomplete},
		},
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

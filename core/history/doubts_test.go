package history_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

func TestDoubts(t *testing.T) {
	t.Parallel()
	code := func(at time.Duration) entry { return wire(at, event.LoginCodeFailed, "p") }
	regressed := wire(-day, event.PasskeyCounterRegressed, "p").with("cre-1")
	changed := wire(-day, event.PasskeyBackupChanged, "p").with("cre-1")
	runFold(t, []foldCase{
		{name: "nothing speaks against the user", log: entries(fail(-day, event.Local)), want: history.Doubts{}},
		{name: "three wrong codes", log: entries(code(-3*day), code(-2*day), code(-day)), want: history.Doubts{WrongCodes: 3}},
		{name: "one of age exactly 30 d no longer counts", log: entries(code(-30*day), code(-day)), want: history.Doubts{WrongCodes: 1}},
		{name: "a second younger it does", log: entries(code(-30*day+time.Second), code(-day)), want: history.Doubts{WrongCodes: 2}},
		{name: "wherever they were given", log: entries(code(-day).in(away), code(-day).in("")), want: history.Doubts{WrongCodes: 2}},
		{name: "a code that was deleted", log: entries(code(-day).removed()), want: history.Doubts{}},
		{name: "a passkey that counted back", log: entries(regressed), want: history.Doubts{CountersRegressed: 1}},
		{name: "a passkey that says otherwise of its backup", log: entries(changed), want: history.Doubts{BackupsChanged: 1}},
		{
			name: "of a passkey that was deleted since", log: entries(regressed.with("cre-9"), changed.with("cre-9")),
			deleted: []account.Tombstone{{ID: "cre-9"}}, want: history.Doubts{},
		},
	})
}

// A bundle of before there were doubts has no window for them.
func TestWithoutAWindowThereAreNoDoubts(t *testing.T) {
	t.Parallel()
	parameters := defaultParameters()
	parameters.DoubtSeconds = 0
	got := history.Fold(history.Input{
		Events: event.NewSet([]event.Event{{ID: ident.NewEventID(), Type: event.LoginCodeFailed, CreatedMs: now.UnixMilli()}}),
		Now:    now, Parameters: parameters,
	})
	if got.Doubts != (history.Doubts{}) {
		t.Errorf("got %+v", got.Doubts)
	}
}

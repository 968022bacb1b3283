package events_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/transfer"
)

func TestAnImportTakesNoEventsThatAreToCome(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for name, c := range map[string]struct {
		at      time.Time
		expires time.Time
		want    string
	}{
		"of now":                                 {start, time.Time{}, transfer.ImportCreated},
		"of long ago":                            {start.AddDate(-3, 0, 0), time.Time{}, transfer.ImportCreated},
		"of a clock that is five minutes ahead":  {start.Add(5 * time.Minute), time.Time{}, transfer.ImportCreated},
		"of a clock that is further ahead":       {start.Add(10 * time.Minute), time.Time{}, transfer.ImportRefused},
		"of next year":                           {start.AddDate(1, 0, 0), time.Time{}, transfer.ImportRefused},
		"a bar that is over, which is history":   {start.AddDate(0, -2, 0), start.AddDate(0, -1, 0), transfer.ImportCreated},
		"of 1970, which is seconds for a moment": {time.UnixMilli(start.Unix()), time.Time{}, transfer.ImportRefused},
	} {
		e := event.Event{ID: "pke-1", User: "usr-1", Type: event.UserLoginBlacklisted, CreatedMs: c.at.UnixMilli()}
		if !c.expires.IsZero() {
			e.Expires = c.expires.Unix()
		}
		got, err := w.ImportEvents(t.Context(), service.ForProject[transfer.EventImport]{
			Project: project, Body: transfer.EventImport{Events: []event.Event{e}, DryRun: true},
		})
		if err != nil || len(got) != 1 || got[0].Outcome != c.want {
			t.Errorf("an event %s: got %+v, %v, want %s", name, got, err, c.want)
			continue
		}
		if c.want == transfer.ImportRefused && (len(got[0].Faults) != 1 || got[0].Faults[0].Field != "createdMs") {
			t.Errorf("an event %s: refused for %+v", name, got[0].Faults)
		}
	}
}

func TestAnImportTakesNoEventsThatMeanNothing(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for name, c := range map[string]struct {
		event event.Event
		want  string // the field that is refused; empty = none
	}{
		"a route that there is":          {event.Event{Type: event.LoginCompleted, Route: event.CDA}, ""},
		"no route, as before there were": {event.Event{Type: event.LoginCompleted}, ""},
		"a route that there is not":      {event.Event{Type: event.LoginCompleted, Route: "telepathy"}, "route"},
		"a kind that there is":           {event.Event{Type: event.AppendOffered, Kind: event.KindAuto}, ""},
		"a kind that there is not":       {event.Event{Type: event.AppendOffered, Kind: "foo"}, "kind"},
		"a source that there is":         {event.Event{Type: event.LoginError, Source: event.Sources()[0]}, ""},
		"a source that there is not":     {event.Event{Type: event.LoginError, Source: "<b>x"}, "source"},
		"an attachment that there is":    {event.Event{Type: event.AppendCompleted, Attachment: "cross-platform"}, ""},
		"an attachment of nothing":       {event.Event{Type: event.AppendCompleted, Attachment: "wall"}, "attachment"},
		"an environment of before":       {event.Event{Type: event.LoginError, Environment: "laptop"}, ""},
	} {
		c.event.ID, c.event.User, c.event.CreatedMs = "pke-1", "usr-1", start.UnixMilli()
		got, err := w.ImportEvents(t.Context(), service.ForProject[transfer.EventImport]{
			Project: project, Body: transfer.EventImport{Events: []event.Event{c.event}, DryRun: true},
		})
		refused := len(got) == 1 && got[0].Outcome == transfer.ImportRefused
		if err != nil || len(got) != 1 || refused != (c.want != "") {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		if refused && (len(got[0].Faults) != 1 || got[0].Faults[0].Field != c.want) {
			t.Errorf("%s: refused for %+v, want %s", name, got[0].Faults, c.want)
		}
	}
}

func TestWhatIsRefusedIsNamedAsItWasRead(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for name, c := range map[string]struct {
		body rest.PasskeyEventCreateReq
		want string
	}{
		"a duration for an end": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(3600))},
			"must be a Unix time in the future, in seconds or milliseconds; 3600 is 1970-01-01T01:00:00Z",
		},
		"nothing for an end": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(0))},
			"must be a Unix time in the future, in seconds or milliseconds; 0 is 1970-01-01T00:00:00Z",
		},
		"a duration backwards for an end": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(-3600))},
			"must be a Unix time in the future, in seconds or milliseconds; -3600 is 1969-12-31T23:00:00Z",
		},
		"a moment long ago in milliseconds": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(1500000000000))},
			"must be a Unix time in the future, in seconds or milliseconds; 1500000000000 is 2017-07-14T02:40:00Z",
		},
		"an end that no time can be written for": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(99999999999999999))},
			"must be before the year 10000; what has no end has no expires",
		},
		"an environment of nobody": {
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", ClientEnvID: new("env-nope")},
			"the user has no client environment env-nope",
		},
	} {
		_, err := w.Create(t.Context(), service.ForUser[rest.PasskeyEventCreateReq]{Project: project, User: "usr-1", Body: c.body})
		if f := fault.As(err); err == nil || len(f.Validation) != 1 || f.Validation[0].Message != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

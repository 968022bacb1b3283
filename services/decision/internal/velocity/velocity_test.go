package velocity

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

var noon = time.UnixMilli(1_764_000_000_000)

func declared(t *testing.T, counters string) map[string]any {
	t.Helper()
	var data map[string]any
	raw := `{"keyward": {"velocity": {"horizonSeconds": 604800, "cap": 64, "counters": {` + counters + `}}}}`
	if err := json.Unmarshal([]byte(raw), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

func learned(t *testing.T, counters string) *Definition {
	t.Helper()
	d, err := Learn(declared(t, counters))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestACounterThatCannotBeMeantIsRefusedByItsMember(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ counter, member string }{
		"a subject that there is not": {`{"subject": "country", "count": "events", "of": ["login-refused"], "seconds": 60}`, "subject"},
		"what cannot be counted":      {`{"subject": "user", "count": "hours", "of": ["login-refused"], "seconds": 60}`, "count"},
		"a type that there is not":    {`{"subject": "user", "count": "events", "of": ["login"], "seconds": 60}`, "of"},
		"nothing":                     {`{"subject": "user", "count": "events", "of": [], "seconds": 60}`, "of"},
		"two families": {
			`{"subject": "user", "count": "events", "of": ["login-refused", "auth-success"], "seconds": 60}`,
			"of",
		},
		"a window beyond the horizon": {`{"subject": "user", "count": "events", "of": ["login-refused"], "seconds": 604801}`, "seconds"},
		"no window":                   {`{"subject": "user", "count": "events", "of": ["login-refused"], "seconds": 0}`, "seconds"},
		"users of a project":          {`{"subject": "project", "count": "users", "of": ["login-refused"], "seconds": 60}`, "count"},
		"buckets of a user": {
			`{"subject": "user", "count": "events", "of": ["login-refused"], "seconds": 60, "bucketSeconds": 6}`,
			"bucketSeconds",
		},
		"buckets longer than the window": {
			`{"subject": "project", "count": "events", "of": ["login-refused"], "seconds": 60, "bucketSeconds": 61}`,
			"bucketSeconds",
		},
	} {
		_, err := Learn(declared(t, `"it": `+c.counter))
		var misfit *document.MisfitError
		if !errors.As(err, &misfit) || misfit.Keys[len(misfit.Keys)-1] != c.member || !strings.Contains(err.Error(), "counter it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d, err := Learn(map[string]any{}); err != nil || len(d.Counters) != 0 {
		t.Errorf("a bundle from before there were counters: %v, %v", d, err)
	}
}

const some = `
	"failures": {"subject": "user", "count": "events", "of": ["login-refused", "code-wrong"], "seconds": 900},
	"ofPasskey": {"subject": "credential", "count": "events", "of": ["login-refused"], "seconds": 900},
	"successes": {"subject": "user", "count": "environments", "of": ["login-completed"], "seconds": 900},
	"reported": {"subject": "user", "count": "environments", "of": ["login-completed", "auth-success"], "seconds": 900},
	"spray": {"subject": "address", "count": "users", "of": ["login-refused", "login-unknown"], "seconds": 3600},
	"attack": {"subject": "project", "count": "events", "of": ["login-refused"], "seconds": 600}`

func TestOnlyWhatRulesReadIsReadAndFound(t *testing.T) {
	t.Parallel()
	d := learned(t, some)
	userBad, userGood := Set{Subject: sighting.User, Family: sighting.Bad}, Set{Subject: sighting.User, Family: sighting.Good}
	for name, c := range map[string]struct {
		paths []string
		sets  []Set
		found []string
	}{
		"nothing":             {[]string{"client.os"}, nil, nil},
		"one":                 {[]string{"velocity.spray"}, []Set{{Subject: sighting.Address, Family: sighting.Bad}}, []string{"spray"}},
		"two of one set":      {[]string{"velocity.failures", "velocity.ofPasskey"}, []Set{userBad}, []string{"failures", "ofPasskey"}},
		"what events say":     {[]string{"velocity.successes"}, nil, []string{"successes"}},
		"what was reported":   {[]string{"velocity.reported"}, []Set{userGood}, []string{"reported"}},
		"a project":           {[]string{"velocity.attack"}, nil, []string{"attack"}},
		"that it is complete": {[]string{"velocity.complete"}, nil, []string{}},
		"users of a browser":  {[]string{"environment.users"}, []Set{{Subject: sighting.Environment, Family: sighting.Good}}, nil},
		"all": {
			[]string{"velocity"}, []Set{userBad, userGood, {Subject: sighting.Address, Family: sighting.Bad}},
			[]string{"attack", "failures", "ofPasskey", "reported", "spray", "successes"},
		},
	} {
		p := NewPlan(d, c.paths)
		sets := slices.Clone(p.Sets)
		slices.SortFunc(sets, func(a, b Set) int {
			return strings.Compare(string(b.Subject), string(a.Subject))*2 + int(b.Family) - int(a.Family)
		})
		if diff := cmp.Diff(c.sets, sets, cmp.Transformer("nil", func(s []Set) []Set { return append([]Set{}, s...) })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		found := p.Find(&Input{Now: noon})
		if (found == nil) != (c.found == nil) {
			t.Errorf("%s: %v", name, found)
			continue
		}
		if found != nil {
			var names []string
			for _, one := range found.Counters {
				names = append(names, one.Name)
			}
			if !slices.Equal(names, append([]string{}, c.found...)) {
				t.Errorf("%s: found %v", name, names)
			}
		}
	}
}

func TestOfWhatIsNamedOnlyThatIsWorthKeepingWhichCountersRead(t *testing.T) {
	t.Parallel()
	d := learned(t, some)
	all := &event.Sighted{User: "u", Environment: "e", Address: "a", Network: "n"}
	for name, c := range map[string]struct {
		paths []string
		named *event.Sighted
		want  *event.Sighted
	}{
		"nothing is counted":              {[]string{"client.os"}, all, nil},
		"the network is read":             {[]string{"request.network"}, all, &event.Sighted{Network: "n"}},
		"nothing is named":                {[]string{"velocity"}, nil, nil},
		"users of an address":             {[]string{"velocity.spray"}, all, &event.Sighted{User: "u", Address: "a"}},
		"events of the user, who is told": {[]string{"velocity.failures"}, all, nil},
		"users of a browser":              {[]string{"environment.users"}, all, &event.Sighted{User: "u", Environment: "e"}},
		"by another key": {
			[]string{"environment.users"}, &event.Sighted{User: "u", Environment: "e", Address: "a", KeyVersion: 2, KeySinceMs: 5},
			&event.Sighted{User: "u", Environment: "e", KeyVersion: 2, KeySinceMs: 5},
		},
	} {
		if diff := cmp.Diff(c.want, NewPlan(d, c.paths).Worth(c.named)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// seen returns an event of so long ago.
func seen(n *sighting.Namer, id string, of event.Type, ago time.Duration, environment ident.EnvironmentID, credential string) event.Event {
	return event.Event{
		ID: ident.EventID(id), Type: of, CreatedMs: noon.Add(-ago).UnixMilli(), Environment: environment, Credential: credential,
		Sighted: n.Name("usr-1", environment, "203.0.113.10"),
	}
}

func TestCountersCountWhatTheySay(t *testing.T) {
	t.Parallel()
	n := sighting.NewNamer(make([]byte, sighting.KeySize), sighting.Version{})
	p := NewPlan(learned(t, some), []string{Name})
	refused := func(id string, ago time.Duration, credential string) sighting.Sighting {
		e := seen(n, id, event.LoginRefused, ago, "env-1", credential)
		s, _ := sighting.Of(&e)
		return s
	}
	reported := seen(n, "r", event.AuthLogin, time.Minute, "env-3", "")
	reported.Auth = &event.Auth{Status: event.AuthSuccess}
	ofReported, _ := sighting.Of(&reported)
	in := Input{
		Seen: sighting.Seen{
			Sets: make([]sighting.Set, len(p.Sets)),
			Totals: sighting.NewTotals(map[sighting.Bucket]int{
				sighting.Buckets(sighting.LoginRefused, noon.Add(-5*time.Minute).UnixMilli())[0]: 7,
			}),
		},
		Events: event.NewSet([]event.Event{
			seen(n, "1", event.LoginCompleted, time.Minute, "env-1", "cre-1"), seen(n, "2", event.LoginCompleted, time.Hour, "env-2", "cre-1"),
		}),
		Passkey: "cre-1", Now: noon,
	}
	for i, set := range p.Sets {
		switch set {
		case Set{Subject: sighting.User, Family: sighting.Bad}:
			in.Sets[i] = sighting.NewSet([]sighting.Sighting{
				refused("a", time.Minute, "cre-1"), refused("b", 15*time.Minute-time.Millisecond, "cre-2"), refused("c", 15*time.Minute, "cre-1"),
			})
		case Set{Subject: sighting.User, Family: sighting.Good}:
			in.Sets[i] = sighting.NewSet([]sighting.Sighting{ofReported})
		}
	}
	var want []facts.Tally
	for _, one := range [...]struct {
		name string
		n    int
	}{{"attack", 7}, {"failures", 2}, {"ofPasskey", 1}, {"reported", 2}, {"spray", 0}, {"successes", 1}} {
		want = append(want, facts.Tally{Name: one.name, Count: one.n})
	}
	if diff := cmp.Diff(&facts.Velocity{Complete: true, Counters: want}, p.Find(&in)); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*Input){
		"after a loss within a window":      func(in *Input) { in.Since.Logged = noon.Add(-time.Minute).UnixMilli() },
		"if names of nobody may be missing": func(in *Input) { in.Since.Unknown = noon.Add(-time.Minute).UnixMilli() },
		"if something could not be read":    func(in *Input) { in.Lost = true },
		"if nothing is known":               func(in *Input) { in.Since = sighting.NeverSince() },
		"with an event of an earlier version": func(in *Input) {
			old := seen(n, "3", event.LoginCompleted, time.Minute, "env-1", "")
			old.Sighted = nil
			in.Events = in.Events.With(old)
		},
	} {
		changed := in
		if change(&changed); p.Find(&changed).Complete {
			t.Errorf("%s it is complete", name)
		}
	}
	later := in
	later.Since = sighting.Since{Logged: noon.Add(-time.Hour).UnixMilli(), Unknown: noon.Add(-time.Hour).UnixMilli()}
	if !p.Find(&later).Complete {
		t.Error("a window that began as nothing was missing any more is not complete")
	}
}

// TestAnotherKeyBeginsAllCountsAnewAndSaysSo has what is named by the key before in every set that is read, as a user's set has it, and as
// a rebuild brings it back.
func TestAnotherKeyBeginsAllCountsAnewAndSaysSo(t *testing.T) {
	t.Parallel()
	next := sighting.Version{}.Next(noon)
	since, key := time.UnixMilli(next.SinceMs), make([]byte, sighting.KeySize)
	first, second := sighting.NewNamer(key, sighting.Version{}), sighting.NewNamer(append([]byte{1}, key[1:]...), next)
	all := func(of event.Type) []event.Event {
		return []event.Event{
			seen(first, "1", of, time.Minute, "env-1", "cre-1"), seen(first, "2", of, noon.Sub(since), "env-2", "cre-1"),
			seen(second, "3", of, noon.Sub(since)-time.Minute, "env-2", "cre-1"),
		}
	}
	p := NewPlan(learned(t, some), []string{Name, "environment.users"})
	for name, c := range map[string]struct {
		by       sighting.Version
		now      time.Time
		want     []int // attack, failures, ofPasskey, reported, spray, successes, users of the environment
		complete bool
	}{
		"before, by the first key":              {sighting.Version{}, noon, []int{0, 1, 1, 1, 1, 1, 1}, true},
		"at once":                               {next, noon, []int{0, 0, 0, 0, 0, 0, 0}, false},
		"as what is new is seen":                {next, since.Add(2 * time.Minute), []int{0, 1, 1, 1, 1, 1, 1}, false},
		"a moment before the window has passed": {next, since.Add(time.Hour - time.Millisecond), []int{0, 0, 0, 0, 1, 0, 1}, false},
		"when the longest window has passed":    {next, since.Add(time.Hour), []int{0, 0, 0, 0, 1, 0, 1}, true},
		"by a third key":                        {next.Next(since), since.Add(2 * time.Minute), []int{0, 0, 0, 0, 0, 0, 0}, false},
	} {
		later := func(e event.Event) bool { return e.CreatedMs > c.now.UnixMilli() }
		in := Input{
			Seen:   sighting.Seen{Sets: make([]sighting.Set, len(p.Sets)), By: c.by},
			Events: event.NewSet(slices.DeleteFunc(all(event.LoginCompleted), later)), Passkey: "cre-1", Now: c.now,
		}
		for i, set := range p.Sets {
			of := event.LoginRefused
			if set.Family == sighting.Good {
				of = event.LoginCompleted
			}
			var members []sighting.Sighting
			for _, e := range slices.DeleteFunc(all(of), later) {
				one, _ := sighting.Of(&e)
				members = append(members, one)
			}
			in.Sets[i] = sighting.NewSet(members)
		}
		found := p.Find(&in)
		var got []int
		for _, one := range found.Counters {
			got = append(got, one.Count)
		}
		got = append(got, *p.Users(&in))
		if !slices.Equal(got, c.want) || found.Complete != c.complete {
			t.Errorf("%s: %v, complete is %v", name, got, found.Complete)
		}
	}
}

func TestTotalsSlideOverTheOldestBucket(t *testing.T) {
	t.Parallel()
	start := noon.Truncate(10 * time.Minute)
	in := map[sighting.Bucket]int{}
	for i := range 10 {
		for n, b := range sighting.Buckets(sighting.LoginRefused, start.Add(time.Duration(i)*time.Minute).UnixMilli()) {
			in[b] += 60 * (1 - n)
		}
	}
	totals := sighting.NewTotals(in)
	of := sighting.Tally{Of: sighting.TypesOf(sighting.LoginRefused), Window: 5 * time.Minute, Bucket: time.Minute}
	for after, want := range map[time.Duration]int{
		10 * time.Minute: 300, 10*time.Minute + 30*time.Second: 270, 14 * time.Minute: 60, 15 * time.Minute: 0, 11*time.Minute + time.Second: 239,
	} {
		if got := totals.Count(of, start.Add(after)); got != want {
			t.Errorf("after %s: %d, want %d", after, got, want)
		}
	}
}

func TestWhatACounterCountsIsSaidInWords(t *testing.T) {
	t.Parallel()
	data := declared(t, some)
	for name, want := range map[string]string{
		"spray": "distinct users of the address, 1 h", "failures": "events of the user, 15 min", "nothing": "",
	} {
		if got := Describe(data, Name+"."+name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

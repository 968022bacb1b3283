package sighting

import (
	"bytes"
	"testing"

	"github.com/keyward/keyward/core/event"
)

func TestTokensNameTheSameAlikeAndNothingElse(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, KeySize)
	n := NewNamer(key, Version{})
	at := func(address string) *event.Sighted { return n.Name("usr-1", "env-1", address) }
	for _, c := range []struct {
		name          string
		one, other    string
		alike, nearby bool
	}{
		{"one address in two forms", "203.0.113.10", "[::ffff:203.0.113.10]:443", true, true},
		{"two addresses of a network", "203.0.113.10", "203.0.113.11", false, true},
		{"a customer's /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::5", true, true},
		{"two customers of a network", "2001:db8:1:2::1", "2001:db8:1:3::1", false, true},
		{"two networks", "2001:db8:1:2::1", "2001:db8:2:2::1", false, false},
	} {
		if (at(c.one).Address == at(c.other).Address) != c.alike || (at(c.one).Network == at(c.other).Network) != c.nearby {
			t.Errorf("%s: %v and %v", c.name, at(c.one), at(c.other))
		}
	}
	for _, none := range []string{"", "nobody", "127.0.0.1", "::1", "0.0.0.0", "169.254.1.1"} {
		if named := at(none); named.Address != "" || named.Network != "" {
			t.Errorf("%q is named %v", none, named)
		}
	}
	first := at("203.0.113.10")
	if *first != *at("203.0.113.10") || len(first.Address) != tokenSize || first.User == first.Environment {
		t.Errorf("%v", first)
	}
	if *NewNamer(bytes.Repeat([]byte{8}, KeySize), Version{}).Name("usr-1", "env-1", "203.0.113.10") == *first {
		t.Error("another key names it the same")
	}
	if NewNamer(nil, Version{}).Name("usr-1", "env-1", "203.0.113.10") != nil {
		t.Error("without a key something is named")
	}
}

func TestWhatIsKeptOfAnEventIsWhatItSays(t *testing.T) {
	t.Parallel()
	n := NewNamer(bytes.Repeat([]byte{7}, KeySize), Version{})
	e := event.Event{
		ID: "pke-1", Project: "pro-1", User: "usr-1", Type: event.LoginRefused, CreatedMs: noon.UnixMilli(),
		Sighted: n.Name("usr-1", "env-1", "203.0.113.10"), Credential: "cre-1",
	}
	s, counts := Of(&e)
	if !counts || s.Type != LoginRefused || s.User == 0 || s.Event == 0 || s.Environment == 0 || s.Network == 0 || s.Credential == 0 {
		t.Fatalf("%v %t", s, counts)
	}
	var keys []string
	for _, key := range KeysOf(&e, Bad) {
		keys = append(keys, key.String())
	}
	want := []string{
		"{pro-1/usr-1}:b", "{pro-1/a:" + e.Sighted.Address + "}:b", "{pro-1/n:" + e.Sighted.Network + "}:b",
		"{pro-1/e:" + e.Sighted.Environment + "}:b",
	}
	for i := range want {
		if len(keys) != len(want) || keys[i] != want[i] {
			t.Fatalf("%q, want %q", keys, want)
		}
	}
	confirmed := e
	confirmed.Type, confirmed.Feedback = event.RiskFeedback, &event.Feedback{Outcome: event.FraudConfirmed}
	fraud, counts := Of(&confirmed)
	if !counts || fraud.Type != FraudConfirmed || fraud.TakenBack {
		t.Errorf("a fraud that is confirmed: %v %t", fraud, counts)
	}
	revoked := confirmed
	revoked.ID, revoked.CreatedMs = "pke-2", e.CreatedMs+1
	revoked.Feedback = &event.Feedback{Outcome: event.Legitimate, Instead: confirmed.ID}
	back, counts := Of(&revoked)
	if !counts || !back.TakenBack || back.Event != fraud.Event {
		t.Errorf("one that is taken back: %v %t", back, counts)
	}
	if left := NewSet([]Sighting{back, fraud}).Members(); len(left) != 0 {
		t.Errorf("what was taken back counts: %v", left)
	}
	for name, change := range map[string]func(*event.Event){
		"of an earlier version":        func(e *event.Event) { e.Sighted = nil },
		"that is neither good nor bad": func(e *event.Event) { e.Type = event.LoginOffered },
		"of a mere suspicion": func(e *event.Event) {
			e.Type, e.Feedback = event.RiskFeedback, &event.Feedback{Outcome: event.FraudSuspected}
		},
		"of a login that says nothing": func(e *event.Event) { e.Type = event.AuthLogin },
	} {
		other := e
		change(&other)
		if _, counts := Of(&other); counts {
			t.Errorf("an event %s counts", name)
		}
	}
}
